//! Drawing the output: windows, layers, what is dragged, the cursor; and pictures of it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::{JoinHandle, ThreadId};

use smithay::backend::allocator::Fourcc;
use smithay::backend::renderer::damage::OutputDamageTracker;
use smithay::backend::renderer::element::Kind;
use smithay::backend::renderer::element::surface::{
    WaylandSurfaceRenderElement, render_elements_from_surface_tree,
};
use smithay::backend::renderer::{
    Bind, ExportMem, ImportAll, ImportMem, Renderer, Texture, TextureMapping,
};
use smithay::desktop::space::render_output;
use smithay::desktop::utils::{
    OutputPresentationFeedback, send_frames_surface_tree, take_presentation_feedback_surface_tree,
};
use smithay::desktop::{Space, layer_map_for_output};
use smithay::input::pointer::{CursorImageStatus, CursorImageSurfaceData};
use smithay::output::Output;
use smithay::reexports::wayland_protocols::wp::presentation_time::server::wp_presentation_feedback;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::utils::{Clock, IsAlive, Logical, Monotonic, Physical, Point, Rectangle, Size};
use smithay::wayland::compositor::with_states;
use smithay::wayland::presentation::Refresh;

use crate::Result;
use crate::backend::Backend;
use crate::element::Window;
use crate::frames;
use crate::handlers::lock::Lock;
use crate::state::State;

/// What is behind everything: a dark blue.
const BACKGROUND: [f32; 4] = [0.10, 0.13, 0.18, 1.0];

/// The output, in the coordinates of windows.
pub fn bounds(state: &State) -> Rectangle<i32, Logical> {
    state.space.output_geometry(&state.output).unwrap_or_default()
}

/// What a locked output shows before its lock surface does.
const BLANK: [f32; 4] = [0.0, 0.0, 0.0, 1.0];

/// What there is to be drawn.
pub struct Scene<'a> {
    pub space: &'a Space<Window>,
    pub output: &'a Output,
    pub lock: &'a Lock,
    pub overlays: Overlays,
}

/// What is drawn above all windows: surfaces, and where they are.
pub type Overlays = Vec<(WlSurface, Point<i32, Physical>)>;

pub fn overlays(state: &State) -> Overlays {
    let pointer = state.pointer_location();
    let cursor = match &state.cursor {
        CursorImageStatus::Surface(surface) if surface.alive() => {
            let hotspot = with_states(surface, |states| {
                let data = states.data_map.get::<CursorImageSurfaceData>();
                data.and_then(|data| data.lock().ok()).map(|data| data.hotspot)
            });
            Some((surface.clone(), pointer - hotspot.unwrap_or_default().to_f64()))
        }
        _ => None,
    };
    let icon = state.drag_icon.clone().filter(IsAlive::alive).map(|icon| (icon, pointer));
    let at = |(surface, at): (WlSurface, Point<f64, Logical>)| {
        (surface, at.to_physical(1.0).to_i32_round())
    };
    cursor.into_iter().chain(icon).map(at).collect()
}

/// Draws what has changed; whether anything has.
pub fn draw(state: &mut State) -> Result<bool> {
    let overlays = overlays(state);
    let State { backend, space, output, frames, lock, .. } = state;
    let scene = Scene { space, output, lock, overlays };
    match backend {
        Backend::Headless(headless) => {
            let mut target = headless.renderer.bind(&mut headless.image)?;
            let damage = &mut frames.damage;
            paint(&mut headless.renderer, &mut target, 1, &scene, damage)
                .map(|damage| damage.is_some())
        }
        #[cfg(feature = "winit")]
        Backend::Winit(winit) => {
            let age = winit.window.buffer_age().unwrap_or(0);
            let (renderer, mut target) = winit.window.bind()?;
            let damage = &mut frames.damage;
            let damage = paint(renderer, &mut target, age, &scene, damage)?;
            drop(target);
            if let Some(damage) = &damage {
                winit.window.submit(Some(damage))?;
            }
            Ok(damage.is_some())
        }
        // Each of its screens is drawn when that is due.
        #[cfg(feature = "tty")]
        Backend::Tty(_) => Ok(false),
    }
}

/// What is behind everything that is drawn.
pub fn background(state: &State) -> [f32; 4] {
    if state.lock.is_locked() { BLANK } else { BACKGROUND }
}

/// Draws what has changed since `age` frames ago on `target`, and tells what that is.
fn paint<R>(
    renderer: &mut R,
    target: &mut R::Framebuffer<'_>,
    age: usize,
    scene: &Scene<'_>,
    damage: &mut OutputDamageTracker,
) -> Result<Option<Vec<Rectangle<i32, Physical>>>>
where
    R: Renderer + ImportAll + ImportMem,
    R::TextureId: Clone + Texture + 'static,
    R::Error: Send + Sync + 'static,
{
    let mut elements: Vec<WaylandSurfaceRenderElement<R>> = Vec::new();
    for (surface, at) in &scene.overlays {
        let overlay =
            render_elements_from_surface_tree(renderer, surface, *at, 1.0, 1.0, Kind::Cursor);
        elements.extend(overlay);
    }
    let Scene { space, output, lock, .. } = scene;
    if !lock.is_locked() {
        let (spaces, elements) = ([*space], &elements);
        return Ok(render_output(
            output, renderer, target, 1.0, age, spaces, elements, damage, BACKGROUND,
        )?
        .damage
        .cloned());
    }
    if let Some(surface) = lock.surface() {
        let (at, kind) = ((0, 0), Kind::Unspecified);
        elements.extend(render_elements_from_surface_tree(renderer, surface, at, 1.0, 1.0, kind));
    }
    let drawn = damage.render_output(renderer, target, age, &elements, BLANK)?;
    Ok(drawn.damage.cloned())
}

/// Tells those who wait for a frame that this is the time for the next one, and those who want to know that what they
/// have drawn is shown. A locked session shows nobody else.
pub fn send_frame_callbacks(state: &State, sequence: u64) {
    send_frame_callbacks_of(state, &state.output);
    // What is in memory comes to no screen.
    let flags = wp_presentation_feedback::Kind::empty();
    let now = Clock::<Monotonic>::new().now();
    let refresh = Refresh::fixed(frames::PERIOD);
    take_feedback(state, &state.output).presented(now, refresh, sequence, flags);
}

/// Tells those whose windows an output shows that this is the time for the next frame.
pub fn send_frame_callbacks_of(state: &State, output: &Output) {
    let time = state.now();
    let shown = || Some(output.clone());
    let send = |surface: &WlSurface| {
        send_frames_surface_tree(surface, output, time, None, |_, _| shown());
    };
    for (surface, _) in overlays(state) {
        send(&surface);
    }
    if state.lock.is_locked() {
        return state.lock.surface().into_iter().for_each(send);
    }
    for window in state.space.elements_for_output(output) {
        window.send_frame(output, time);
    }
    for layer in layer_map_for_output(output).layers() {
        layer.send_frame(output, time, None, |_, _| shown());
    }
}

/// Those who want to know when an output shows what they have drawn.
pub fn take_feedback(state: &State, output: &Output) -> OutputPresentationFeedback {
    let mut feedback = OutputPresentationFeedback::new(output);
    let shown = || Some(output.clone());
    let flags = wp_presentation_feedback::Kind::empty();
    let mut take = |surface: &WlSurface| {
        let feedback = &mut feedback;
        take_presentation_feedback_surface_tree(surface, feedback, |_, _| shown(), |_, _| flags);
    };
    for (surface, _) in overlays(state) {
        take(&surface);
    }
    if state.lock.is_locked() {
        state.lock.surface().into_iter().for_each(take);
        return feedback;
    }
    for window in state.space.elements_for_output(output) {
        window.take_presentation_feedback(&mut feedback, |_, _| shown(), |_, _| flags);
    }
    for layer in layer_map_for_output(output).layers() {
        layer.take_presentation_feedback(&mut feedback, |_, _| shown(), |_, _| flags);
    }
    feedback
}

/// Writes what the output shows to a PNG file, in a thread of its own, and tells `done` how that went.
pub fn take_screenshot(
    state: &mut State,
    path: &Path,
    done: impl FnOnce(Result<String, String>) + Send + 'static,
) {
    take_screenshot_of(state, None, path, done);
}

/// [`take_screenshot`], of the output with this name.
pub fn take_screenshot_of(
    state: &mut State,
    output: Option<&str>,
    path: &Path,
    done: impl FnOnce(Result<String, String>) + Send + 'static,
) {
    let path = path.to_owned();
    let shown = path.display().to_string();
    // The thread comes first: what is moved into one that can't be started is lost.
    let (sender, work) = mpsc::sync_channel::<(Picture, Done)>(1);
    let remote = state.remote.clone();
    let worker = std::thread::Builder::new().name("screenshot".to_owned()).spawn(move || {
        if let Ok((picture, done)) = work.recv() {
            let (width, height) = (picture.width, picture.height);
            done(match picture.write(&path) {
                Ok(()) => Ok(format!("{} {width}x{height}", path.display())),
                Err(error) => Err(format!("{} can't be written: {error}", path.display())),
            });
        }
        let this = std::thread::current().id();
        remote.post(move |state| state.screenshots.join(this));
    });
    match worker {
        Ok(worker) => state.screenshots.0.push(worker),
        Err(error) => return done(Err(format!("no thread that writes {shown}: {error}"))),
    }
    match draw(state).and_then(|_| Picture::take(state, output)) {
        Ok(picture) => drop(sender.send((picture, Box::new(done)))),
        Err(error) => done(Err(format!("no picture for {shown}: {error}"))),
    }
}

type Done = Box<dyn FnOnce(Result<String, String>) + Send>;

/// The threads that write pictures, joined as they end; those that are not done are waited for at the end.
#[derive(Default)]
pub struct Screenshots(Vec<JoinHandle<()>>);

impl Screenshots {
    /// A thread is done, with everything but its end.
    fn join(&mut self, thread: ThreadId) {
        for worker in self.0.extract_if(.., |worker| worker.thread().id() == thread) {
            // One that has panicked has said so.
            let _ = worker.join();
        }
    }
}

impl Drop for Screenshots {
    fn drop(&mut self) {
        for worker in self.0.drain(..) {
            let _ = worker.join();
        }
    }
}

/// RGBA, from the top left on.
pub struct Picture {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl Picture {
    fn take(state: &mut State, output: Option<&str>) -> Result<Self> {
        #[cfg(feature = "tty")]
        if state.backend.has_screens() {
            return crate::tty::frames::picture(state, output);
        }
        if output.is_some_and(|name| name != state.output.name()) {
            return Err("there is no such output".into());
        }
        match &mut state.backend {
            Backend::Headless(headless) => {
                let size = headless.size();
                let target = headless.renderer.bind(&mut headless.image)?;
                Self::copy(&mut headless.renderer, &target, size)
            }
            #[cfg(feature = "winit")]
            Backend::Winit(winit) => {
                let size = winit.size();
                let overlays = overlays(state);
                let State { backend: Backend::Winit(winit), space, output, lock, .. } = state
                else {
                    unreachable!()
                };
                let scene = Scene { space, output, lock, overlays };
                // What the window shows is not there any more: it is drawn once again.
                let mut damage = OutputDamageTracker::from_output(output);
                let (renderer, mut target) = winit.window.bind()?;
                paint(renderer, &mut target, 0, &scene, &mut damage)?;
                Self::copy(renderer, &target, size)
            }
            #[cfg(feature = "tty")]
            Backend::Tty(_) => unreachable!("it has screens"),
        }
    }

    pub fn copy<R: ExportMem>(
        renderer: &mut R,
        target: &R::Framebuffer<'_>,
        size: Size<i32, Physical>,
    ) -> Result<Self>
    where
        R::Error: Send + Sync + 'static,
    {
        let region = Rectangle::from_size((size.w, size.h).into());
        let mapping = renderer.copy_framebuffer(target, region, Fourcc::Abgr8888)?;
        let flipped = mapping.flipped();
        let bytes = renderer.map_texture(&mapping)?;
        let row = bytes.len() / size.h as usize;
        let rows = bytes.chunks_exact(row).map(|row| &row[..4 * size.w as usize]);
        let pixels = if flipped {
            rows.rev().flatten().copied().collect()
        } else {
            rows.flatten().copied().collect()
        };
        Ok(Self { width: size.w as u32, height: size.h as u32, pixels })
    }

    /// Opaque, since an output is.
    fn write(&self, path: &PathBuf) -> io::Result<()> {
        let file = io::BufWriter::new(std::fs::File::create(path)?);
        let mut encoder = png::Encoder::new(file, self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_compression(png::Compression::Fast);
        let mut writer = encoder.write_header().map_err(io::Error::other)?;
        let rgb: Vec<u8> =
            self.pixels.chunks_exact(4).flat_map(|pixel| &pixel[..3]).copied().collect();
        writer.write_image_data(&rgb).map_err(io::Error::other)?;
        writer.finish().map_err(io::Error::other)
    }
}
