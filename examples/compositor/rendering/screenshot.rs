//! Screenshots: a worker thread encodes them as PNG and answers through a channel of the loop.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;

use soloop::{LoopHandle, Priority, SourceOptions, channel};

use super::{RenderHost, Rendering};
use crate::geometry::Image;

/// Names a screenshot that was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ScreenshotId(u64);

/// The end of a screenshot.
pub struct Screenshot {
    pub id: ScreenshotId,
    pub path: PathBuf,
    /// The size of the picture, in pixels.
    pub size: (i32, i32),
    pub result: io::Result<()>,
}

struct Job {
    id: ScreenshotId,
    image: Image,
    path: PathBuf,
}

/// The way to the worker.
pub struct Encoder {
    /// Gone when no more is to be done.
    jobs: Option<mpsc::Sender<Job>>,
    worker: Option<JoinHandle<()>>,
    asked: u64,
    done: u64,
}

impl Encoder {
    pub fn insert<D: RenderHost>(handle: &mut LoopHandle<D>) -> io::Result<Self> {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let (outbox, answers) = channel();
        let worker = std::thread::Builder::new().name("png".into()).spawn(move || {
            for Job { id, image, path } in inbox {
                let result = write_png(&image, &path);
                let size = (image.width, image.height);
                // Nobody listens any more when the compositor ends; the file is written all the same.
                let _ = outbox.send(Screenshot { id, path, size, result });
            }
        })?;
        // Whoever waits for a screenshot waits for a disk, too.
        let options = SourceOptions::new().name("screenshots").priority(Priority::Low);
        handle.insert_source_with(options, answers, |event, data: &mut D| {
            if let channel::Event::Msg(screenshot) = event {
                let rendering: &mut Rendering = data.as_mut();
                rendering.encoder.done += 1;
                data.screenshot_done(screenshot);
            }
        })?;
        Ok(Self { jobs: Some(jobs), worker: Some(worker), asked: 0, done: 0 })
    }

    pub fn encode(&mut self, image: Image, path: PathBuf) -> ScreenshotId {
        self.asked += 1;
        let id = ScreenshotId(self.asked);
        if let Some(jobs) = &self.jobs {
            // The worker ends only after this sender.
            let _ = jobs.send(Job { id, image, path });
        }
        id
    }

    pub fn pending(&self) -> usize {
        (self.asked - self.done) as usize
    }

    pub fn finish(&mut self) {
        self.jobs = None;
        if self.worker.take().is_some_and(|worker| worker.join().is_err()) {
            eprintln!("compositor: the PNG worker panicked");
        }
    }
}

fn write_png(image: &Image, path: &Path) -> io::Result<()> {
    let (width, height) = (image.width as u32, image.height as u32);
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(path)?), width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::Fast);
    let mut pixels = vec![0; 3 * image.bytes.len() / 4];
    let (to, from) = (pixels.as_chunks_mut::<3>().0, image.bytes.as_chunks::<4>().0);
    for (pixel, [blue, green, red, _]) in to.iter_mut().zip(from) {
        *pixel = [*red, *green, *blue];
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    Ok(writer.finish()?)
}
