//! The screens of the seat: where they are, and when each is drawn.

use std::fmt::Display;
use std::io;
use std::time::{Duration, Instant};

use smithay::backend::drm::compositor::FrameFlags;
use smithay::backend::renderer::Offscreen;
use smithay::backend::renderer::damage::OutputDamageTracker;
use smithay::backend::renderer::Bind;
use smithay::desktop::layer_map_for_output;
use smithay::input::pointer::CursorImageStatus;
use smithay::output::{Output, Scale};
use smithay::reexports::drm::control::{connector, crtc};
use smithay::reexports::wayland_protocols::wp::presentation_time::server::wp_presentation_feedback::Kind;
use smithay::reexports::wayland_server::backend::GlobalId;
use smithay::utils::{Clock, IsAlive, Logical, Monotonic, Point};
use smithay::wayland::presentation::Refresh;

use super::card::{self, CardHandler, Phase, Remedy, Screen};
use super::{draw, scene};
use crate::backend::Backend;
use crate::element::Window;
use crate::handlers::lock;
use crate::render::{self, Picture, Scene};
use crate::state::State;
use crate::{Result, connection, event_loop, input, placing, windows};

/// A card gives no events for what it is not asked: this is how long one is left alone that was busy.
const BUSY: Duration = Duration::from_millis(50);

/// Has each screen drawn that is not about to be.
pub fn schedule(state: &mut State) {
    let State { backend: Backend::Tty(tty), handle, .. } = state else { return };
    if tty.dark {
        return;
    }
    let Some(card) = tty.card.as_mut().filter(|card| card.is_active()) else { return };
    for screen in &mut card.screens {
        match &mut screen.phase {
            Phase::Idle => arm(handle, screen, Duration::ZERO),
            Phase::Due(_) => {}
            Phase::Flip { changed } => *changed = true,
        }
    }
}

fn arm(handle: &mut event_loop::Handle, screen: &mut Screen, pause: Duration) {
    let start = screen.clock.start(Instant::now() + pause);
    let connector = screen.connector;
    screen.phase = Phase::Due(start);
    let armed = event_loop::at(handle, "frame", start, move |state, deadline| {
        draw(state, connector, deadline);
        None
    });
    if let Err(error) = armed {
        screen.phase = Phase::Idle;
        eprintln!("compositor: no frame: {error}");
    }
}

fn due(state: &mut State, connector: connector::Handle, deadline: Instant) -> Option<&mut Screen> {
    let screens = &mut state.backend.tty()?.card.as_mut()?.screens;
    let due = |screen: &&mut Screen| {
        screen.connector == connector && screen.phase == Phase::Due(deadline)
    };
    screens.iter_mut().find(due)
}

/// Draws a screen, and tells those who wait for a frame.
fn draw(state: &mut State, connector: connector::Handle, deadline: Instant) {
    // It may have been unplugged, turned off or taken away since.
    if due(state, connector, deadline).is_none() {
        return;
    }
    let start = Instant::now();
    connection::bury(state);
    state.space.refresh();
    state.popups.cleanup();
    if let Some(tty) = state.backend.tty() {
        tty.input.frame_starts(start);
    }
    let outcome = present(state, connector);
    lock::drawn(state);
    let Some(screen) = due(state, connector, deadline) else { return };
    screen.clock.drawn(start.elapsed());
    match outcome {
        Ok(true) => screen.phase = Phase::Flip { changed: false },
        Ok(false) => {
            screen.phase = Phase::Idle;
            screen.unchanged += 1;
        }
        Err((error, Remedy::Retry)) => {
            eprintln!("compositor: {}: {error}", screen.output.name());
            let State { backend: Backend::Tty(tty), handle, .. } = state else { return };
            let screens = tty.card.iter_mut().flat_map(|card| &mut card.screens);
            for screen in screens.filter(|screen| screen.connector == connector) {
                arm(handle, screen, BUSY);
            }
            return;
        }
        Err((_, Remedy::Wait)) => screen.phase = Phase::Idle,
        Err((error, Remedy::Refuse)) => {
            screen.phase = Phase::Idle;
            eprintln!("compositor: {} is not drawn: {error}", screen.output.name());
        }
        Err((error, Remedy::Forget)) => {
            return forget_card(state, &error);
        }
    }
    let Some(screen) = find(state, |screen| screen.connector == connector) else { return };
    let output = screen.output.clone();
    render::send_frame_callbacks_of(state, &output);
}

fn find(state: &mut State, is_it: impl Fn(&Screen) -> bool) -> Option<&mut Screen> {
    state.backend.tty()?.card.as_mut()?.screens.iter_mut().find(|screen| is_it(screen))
}

/// Draws a screen and gives that to the card; whether anything has changed.
fn present(state: &mut State, connector: connector::Handle) -> Result<bool, (String, Remedy)> {
    let refused = |error: &dyn std::fmt::Display| (error.to_string(), Remedy::Refuse);
    let overlays = render::overlays(state);
    let pointer = arrow_at(state);
    let feedback_of = |state: &State, output: &Output| render::take_feedback(state, output);
    let Some(output) = find(state, |it| it.connector == connector).map(|it| it.output.clone())
    else {
        return Ok(false);
    };
    let background = render::background(state);
    let State { backend: Backend::Tty(tty), space, output: main, lock, .. } = &mut *state else {
        return Ok(false);
    };
    let scene = Scene { space, output: main, lock, overlays };
    let Some(card) = tty.card.as_mut() else { return Ok(false) };
    let arrow = pointer.map(|at| (&tty.arrow, at));
    let elements = scene::elements(&mut card.renderer, &scene, &output, arrow)
        .map_err(|error| refused(&error))?;
    let screen = card.screens.iter_mut().find(|screen| screen.connector == connector);
    let Some(screen) = screen else { return Ok(false) };
    let frame = screen
        .scanout
        .render_frame(&mut card.renderer, &elements, background, FrameFlags::empty())
        .map_err(|error| match &error {
            smithay::backend::drm::compositor::RenderFrameError::PrepareFrame(prepare) => {
                let remedy = card::card_error(prepare).map_or(Remedy::Refuse, card::remedy);
                (error.to_string(), remedy)
            }
            _ => refused(&error),
        })?;
    if frame.is_empty {
        return Ok(false);
    }
    drop(elements);
    let feedback = feedback_of(state, &output);
    let Some(screen) = find(state, |screen| screen.connector == connector) else {
        return Ok(false);
    };
    screen.scanout.queue_frame(feedback).map_err(|error| {
        let remedy = card::card_error(&error).map_or(Remedy::Refuse, card::remedy);
        (error.to_string(), remedy)
    })?;
    Ok(true)
}

/// Where the arrow is, unless a client draws the cursor or hides it.
fn arrow_at(state: &State) -> Option<Point<f64, Logical>> {
    let drawn = match &state.cursor {
        CursorImageStatus::Hidden => false,
        CursorImageStatus::Named(_) => true,
        CursorImageStatus::Surface(surface) => !surface.alive(),
    };
    drawn.then(|| state.pointer_location())
}

impl CardHandler for State {
    fn frame_shown(&mut self, crtc: crtc::Handle, at: Instant) {
        let Some(screen) = find(self, |screen| screen.scanout.crtc() == crtc) else { return };
        let Phase::Flip { changed } = screen.phase else { return };
        screen.phase = Phase::Idle;
        screen.clock.shown(at);
        match screen.scanout.frame_submitted() {
            Ok(Some(mut feedback)) => {
                let (shown, period) = (screen.clock.shown, screen.clock.period());
                let flags = Kind::Vsync | Kind::HwCompletion | Kind::HwClock;
                let now = Clock::<Monotonic>::new().now();
                feedback.presented(now, Refresh::fixed(period), shown, flags);
            }
            Ok(None) => {}
            Err(error) => eprintln!("compositor: {}: {error}", screen.output.name()),
        }
        if changed {
            schedule(self);
        }
    }

    fn card_lost(&mut self, error: &io::Error) {
        forget_card(self, error);
    }
}

/// Looks for what has been plugged in or out.
pub fn rescan(state: &mut State) {
    let State { backend: Backend::Tty(tty), display, .. } = state else { return };
    let Some(card) = tty.card.as_mut().filter(|card| card.is_active()) else { return };
    let gone = match card.scan() {
        Ok(gone) => gone,
        Err(error) => return eprintln!("compositor: the screens are not known: {error}"),
    };
    for screen in &card.screens {
        // What clients know it by.
        let global = || Global(screen.output.create_global::<State>(display));
        screen.output.user_data().insert_if_missing_threadsafe(global);
    }
    let gone: Vec<Output> = gone.into_iter().map(|screen| screen.output).collect();
    arrange(state, &gone);
}

/// What clients bind an output by.
struct Global(GlobalId);

fn outputs(state: &mut State) -> Vec<Output> {
    let card = state.backend.tty().and_then(|tty| tty.card.as_ref());
    card.into_iter().flat_map(|card| &card.screens).map(|screen| screen.output.clone()).collect()
}

/// Puts the screens side by side. The first has the panels and the lock; what was on those that are gone goes to
/// those that are left.
pub fn arrange(state: &mut State, gone: &[Output]) {
    for output in gone {
        println!("compositor: screen removed: {}", output.name());
        state.space.unmap_output(output);
        if let Some(Global(global)) = output.user_data().get::<Global>() {
            state.display.remove_global::<State>(global.clone());
        }
    }
    let outputs = outputs(state);
    let mut x = 0;
    for output in &outputs {
        output.change_current_state(None, None, None, Some((x, 0).into()));
        state.space.map_output(output, (x, 0));
        let place = state.space.output_geometry(output).unwrap_or_default();
        x += place.size.w;
        let line = describe(state, output);
        let screen = find(state, |screen| screen.output == *output);
        if let Some(screen) = screen.filter(|screen| screen.described != line) {
            println!("compositor: screen {line}");
            screen.described = line;
        }
    }
    if let Some(main) = outputs.first().filter(|main| **main != state.output) {
        become_main(state, main.clone());
    }
    layer_map_for_output(&state.output).arrange();
    placing::refit(state);
    bring_back_windows(state);
    lock::resize(state);
    let location = state.pointer_location();
    input::move_pointer_to(state, location);
    if let Some(card) = state.backend.tty().and_then(|tty| tty.card.as_mut()) {
        for screen in &mut card.screens {
            screen.scanout.reset_buffer_ages();
        }
    }
    schedule(state);
}

fn become_main(state: &mut State, output: Output) {
    let old = std::mem::replace(&mut state.output, output);
    let layers: Vec<_> = layer_map_for_output(&old).layers().cloned().collect();
    for layer in layers {
        layer_map_for_output(&old).unmap_layer(&layer);
        if let Err(error) = layer_map_for_output(&state.output).map_layer(&layer) {
            eprintln!("compositor: a layer is lost: {error}");
        }
    }
    // That of the time before there was a screen.
    if !outputs(state).contains(&old) {
        state.space.unmap_output(&old);
    }
}

/// Windows that no screen shows any more go where one does.
fn bring_back_windows(state: &mut State) {
    let screens: Vec<_> =
        outputs(state).iter().filter_map(|output| state.space.output_geometry(output)).collect();
    let lost = |window: &&Window| {
        let place = state.space.element_geometry(window).unwrap_or_default();
        !screens.iter().any(|screen| screen.overlaps(place))
    };
    let lost: Vec<Window> = state.space.elements().filter(lost).cloned().collect();
    for window in lost {
        let place = placing::place_new(state, &window);
        state.space.map_element(window, place, false);
    }
    windows::lost(state);
}

/// Turns the screens off, or on again.
pub fn set_dark(state: &mut State, dark: bool) {
    let Some(tty) = state.backend.tty() else { return };
    if tty.dark == dark {
        return;
    }
    tty.dark = dark;
    println!("compositor: screens {}", if dark { "off" } else { "on" });
    if let Some(card) = tty.card.as_mut().filter(|card| card.is_active()) {
        if dark {
            card.darken();
        } else if let Err(error) = card.redraw() {
            eprintln!("compositor: the screens can't be turned on: {error}");
        }
    }
    schedule(state);
}

/// The card is no more. Clients stay: another one, or none.
pub fn forget_card(state: &mut State, why: &dyn Display) {
    let gone = outputs(state);
    if state.backend.tty().and_then(|tty| tty.card.take()).is_some() {
        eprintln!("compositor: the graphics card is gone: {why}");
        arrange(state, &gone);
    }
}

/// `NAME x y WxH@mHz scale`, of each screen.
pub fn list(state: &mut State) -> Vec<String> {
    outputs(state).iter().map(|output| describe(state, output)).collect()
}

fn describe(state: &State, output: &Output) -> String {
    let place = state.space.output_geometry(output).unwrap_or_default();
    let mode = output.current_mode().map_or((0, 0, 0), |it| (it.size.w, it.size.h, it.refresh));
    let scale = output.current_scale().fractional_scale();
    let (name, Point { x, y, .. }) = (output.name(), place.loc);
    format!("{name} {x} {y} {}x{}@{} {scale}", mode.0, mode.1, mode.2)
}

pub fn statistics(state: &mut State) -> Vec<String> {
    let card = state.backend.tty().and_then(|tty| tty.card.as_ref());
    let screens = card.into_iter().flat_map(|card| &card.screens);
    screens
        .map(|screen| {
            let (name, unchanged) = (screen.output.name(), screen.unchanged);
            let (shown, missed) = (screen.clock.shown, screen.clock.missed);
            format!("screen {name}: {shown} shown, {unchanged} unchanged, {missed} missed")
        })
        .collect()
}

/// Has an output show everything larger or smaller.
pub fn set_scale(state: &mut State, name: &str, scale: f64) -> Result<String, String> {
    let output = outputs(state).into_iter().find(|output| output.name() == name);
    let output = output.ok_or_else(|| format!("there is no screen {name}"))?;
    if !(0.5..=4.0).contains(&scale) {
        return Err(format!("{scale} is not a scale of 0.5 to 4"));
    }
    output.change_current_state(None, None, Some(Scale::Fractional(scale)), None);
    arrange(state, &[]);
    Ok(String::new())
}

/// Has an output use another of its modes.
pub fn set_mode(state: &mut State, name: &str, size: (u16, u16)) -> Result<String, String> {
    let screen = find(state, |screen| screen.output.name() == name);
    let screen = screen.ok_or_else(|| format!("there is no screen {name}"))?;
    screen.choose_mode(size).map_err(|error| format!("{name}: {error}"))?;
    arrange(state, &[]);
    Ok(String::new())
}

/// What an output shows, for a picture.
pub fn picture(state: &mut State, name: Option<&str>) -> Result<Picture> {
    let all = outputs(state);
    let output = all.iter().find(|output| name.is_none_or(|name| output.name() == name));
    let output = output.ok_or("there is no such screen")?;
    let size = output.current_mode().ok_or("the screen has no mode")?.size;
    let (overlays, pointer) = (render::overlays(state), arrow_at(state));
    let background = render::background(state);
    let State { backend: Backend::Tty(tty), space, output: main, lock, .. } = state else {
        return Err("there are no screens".into());
    };
    let scene = Scene { space, output: main, lock, overlays };
    let card = tty.card.as_mut().ok_or("there is no graphics card")?;
    let renderer = &mut card.renderer;
    let arrow = pointer.map(|at| (&tty.arrow, at));
    let elements = scene::elements(renderer, &scene, output, arrow)?;
    let mut canvas: draw::Canvas =
        renderer.create_buffer(draw::FORMATS[0], (size.w, size.h).into())?;
    let mut target = renderer.bind(&mut canvas)?;
    let mut damage = OutputDamageTracker::from_output(output);
    damage.render_output(renderer, &mut target, 0, &elements, background)?;
    Picture::copy(renderer, &target, size)
}
