//! Callbacks of modules that know only their own part of the state.

use crate::{EventSource, InsertError, LoopHandle, SourceOptions, Token};

/// Turns a callback for a part of the state into a callback for the whole state; `part` finds the part.
///
/// With it a module's callbacks depend on that part only, and not on the program. `map_data` is for sources whose
/// events borrow nothing, and can be used wherever a callback is expected; write out the type of the event.
/// [`LoopHandle::insert_part`] is for every source, and infers the type.
///
/// # Modules that use the loop
///
/// A callback that receives only its part has no [`LoopHandle`]. A module whose callbacks insert and remove sources
/// is generic over the state instead, and requires that the state contains the module's part:
///
/// ```
/// use soloop::{Clock, EventLoop, LoopData, LoopHandle};
///
/// mod input {
///     use std::time::Duration;
///     use soloop::{InsertError, LoopData, TimeoutAction, Timer, Token};
///
///     #[derive(Default)]
///     pub struct Input {
///         pub repeats: u32,
///         pub repeating: Option<Token<Timer>>,
///     }
///
///     pub fn key_pressed<D: LoopData + AsMut<Input>>(data: &mut D) -> Result<(), InsertError<Timer>> {
///         let every = Duration::from_millis(20);
///         let timer = Timer::from_duration(every);
///         let repeating = data.loop_handle().insert_source(timer, move |_, data: &mut D| {
///             data.as_mut().repeats += 1;
///             TimeoutAction::ToDuration(every)
///         })?;
///         data.as_mut().repeating = Some(repeating);
///         Ok(())
///     }
///
///     pub fn key_released<D: LoopData + AsMut<Input>>(data: &mut D) {
///         if let Some(repeating) = data.as_mut().repeating.take() {
///             data.loop_handle().remove(repeating);
///         }
///     }
/// }
///
/// struct State {
///     handle: LoopHandle<State>,
///     input: input::Input,
/// }
///
/// impl LoopData for State {
///     fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
///         &mut self.handle
///     }
/// }
///
/// impl AsMut<input::Input> for State {
///     fn as_mut(&mut self) -> &mut input::Input {
///         &mut self.input
///     }
/// }
///
/// let (mut event_loop, handle) = EventLoop::with_clock(Clock::manual())?;
/// let mut state = State { handle, input: Default::default() };
/// input::key_pressed(&mut state)?;
/// for _ in 0..3 {
///     event_loop.dispatch(None, &mut state)?;
/// }
/// input::key_released(&mut state);
/// assert_eq!(state.input.repeats, 3);
/// # Ok::<(), soloop::Error>(())
/// ```
///
/// # Examples
///
/// ```
/// use std::time::Instant;
/// use soloop::{EventLoop, LoopData, LoopHandle, TimeoutAction, Timer};
///
/// #[derive(Default)]
/// struct Animation {
///     frames: u32,
/// }
///
/// impl Animation {
///     fn frame(&mut self, _at: Instant) -> TimeoutAction {
///         self.frames += 1;
///         TimeoutAction::Drop
///     }
/// }
///
/// struct State {
///     handle: LoopHandle<State>,
///     animation: Animation,
/// }
/// # impl LoopData for State {
/// #     fn loop_handle(&mut self) -> &mut LoopHandle<Self> { &mut self.handle }
/// # }
///
/// let (mut event_loop, handle) = EventLoop::new()?;
/// let mut state = State { handle, animation: Animation::default() };
/// let frame = soloop::map_data(
///     |state: &mut State| &mut state.animation,
///     |at: Instant, animation: &mut Animation| animation.frame(at),
/// );
/// state.handle.insert_source(Timer::immediate(), frame)?;
/// event_loop.dispatch(None, &mut state)?;
/// assert_eq!(state.animation.frames, 1);
/// # Ok::<(), soloop::Error>(())
/// ```
#[must_use = "it makes a callback, which does nothing until it is inserted"]
pub fn map_data<Data, Part, Event, Ret>(
    mut part: impl FnMut(&mut Data) -> &mut Part + 'static,
    mut callback: impl FnMut(Event, &mut Part) -> Ret + 'static,
) -> impl FnMut(Event, &mut Data) -> Ret + 'static {
    move |event, data: &mut Data| callback(event, part(data))
}

impl<Data> LoopHandle<Data> {
    /// Inserts a source whose callback receives a part of the state, which `part` finds; [`map_data`] explains when
    /// to use it.
    ///
    /// # Errors
    ///
    /// As [`insert_source`](Self::insert_source).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(unix)] {
    /// use std::io::{Read, Write};
    /// use std::os::unix::net::UnixStream;
    /// use soloop::{Generic, Interest, LoopData, LoopHandle, Mode, PostAction, SourceOptions};
    ///
    /// #[derive(Default)]
    /// struct Input {
    ///     keys: Vec<u8>,
    /// }
    ///
    /// struct State {
    ///     handle: LoopHandle<State>,
    ///     input: Input,
    /// }
    /// # impl LoopData for State {
    /// #     fn loop_handle(&mut self) -> &mut LoopHandle<Self> { &mut self.handle }
    /// # }
    ///
    /// let (mut event_loop, handle) = soloop::EventLoop::new()?;
    /// let mut state = State { handle, input: Input::default() };
    /// let (mut keyboard, ours) = UnixStream::pair()?;
    /// state.handle.insert_part(
    ///     SourceOptions::new().name("input"),
    ///     Generic::new(ours, Interest::READ, Mode::Level),
    ///     |state: &mut State| &mut state.input,
    ///     |ready, input| {
    ///         let mut key = [0];
    ///         ready.io.read_exact(&mut key)?;
    ///         input.keys.extend(key);
    ///         Ok(PostAction::Continue)
    ///     },
    /// )?;
    /// keyboard.write_all(b"q")?;
    /// event_loop.dispatch(None, &mut state)?;
    /// assert_eq!(state.input.keys, b"q");
    /// # }
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn insert_part<S, Part>(
        &mut self,
        options: SourceOptions,
        source: S,
        mut part: impl FnMut(&mut Data) -> &mut Part + 'static,
        mut callback: impl FnMut(S::Event<'_>, &mut Part) -> S::Ret + 'static,
    ) -> Result<Token<S>, InsertError<S>>
    where
        S: EventSource,
    {
        self.insert_source_with(options, source, move |event, data| callback(event, part(data)))
    }
}
