//! What a screen shows: the windows on its part of the space, what is dragged, and the cursor, which is drawn.

use smithay::backend::allocator::Fourcc;
use smithay::backend::renderer::element::Kind;
use smithay::backend::renderer::element::memory::{
    MemoryRenderBuffer, MemoryRenderBufferRenderElement,
};
use smithay::backend::renderer::element::render_elements;
use smithay::backend::renderer::element::surface::{
    WaylandSurfaceRenderElement, render_elements_from_surface_tree,
};
use smithay::desktop::space::{SpaceRenderElements, space_render_elements};
use smithay::output::Output;
use smithay::utils::{Logical, Point, Rectangle, Transform};

use super::draw::Renderer;
use crate::Result;
use crate::render::Scene;

render_elements! {
    pub Element<=Renderer>;
    Space=SpaceRenderElements<Renderer, WaylandSurfaceRenderElement<Renderer>>,
    Surface=WaylandSurfaceRenderElement<Renderer>,
    Arrow=MemoryRenderBufferRenderElement<Renderer>,
}

/// The cursor that clients have not drawn themselves: an arrow, black with a white edge.
const ARROW: [&str; 16] = [
    "#           ",
    "##          ",
    "#.#         ",
    "#..#        ",
    "#...#       ",
    "#....#      ",
    "#.....#     ",
    "#......#    ",
    "#.......#   ",
    "#........#  ",
    "#.....##### ",
    "#..#..#     ",
    "#.# #..#    ",
    "##  #..#    ",
    "#    #..#   ",
    "      ##    ",
];

pub fn arrow() -> MemoryRenderBuffer {
    let pixel = |pixel| match pixel {
        '#' => [255, 255, 255, 255],
        '.' => [0, 0, 0, 255],
        _ => [0, 0, 0, 0],
    };
    let bytes: Vec<u8> = ARROW.iter().flat_map(|row| row.chars().flat_map(pixel)).collect();
    let size = (ARROW[0].len() as i32, ARROW.len() as i32);
    MemoryRenderBuffer::from_slice(&bytes, Fourcc::Argb8888, size, 1, Transform::Normal, None)
}

/// What an output shows, the topmost first. `arrow` is where the arrow is, if that is what the cursor is. Only the
/// main output shows what locks the session; the others show nothing then.
pub fn elements(
    renderer: &mut Renderer,
    scene: &Scene<'_>,
    output: &Output,
    arrow: Option<(&MemoryRenderBuffer, Point<f64, Logical>)>,
) -> Result<Vec<Element>> {
    let scale = output.current_scale().fractional_scale();
    let place: Rectangle<i32, Logical> = scene.space.output_geometry(output).unwrap_or_default();
    let here = |at: Point<f64, Logical>| (at - place.loc.to_f64()).to_physical(scale);
    let mut elements = Vec::new();
    if let Some((buffer, at)) = arrow {
        let arrow = MemoryRenderBufferRenderElement::from_buffer(
            renderer,
            here(at),
            buffer,
            None,
            None,
            None,
            Kind::Cursor,
        )?;
        elements.push(Element::Arrow(arrow));
    }
    for (surface, at) in &scene.overlays {
        let at = here(at.to_f64().to_logical(1.0)).to_i32_round();
        let parts =
            render_elements_from_surface_tree(renderer, surface, at, scale, 1.0, Kind::Cursor);
        elements.extend(parts.into_iter().map(Element::Surface));
    }
    if !scene.lock.is_locked() {
        let windows = space_render_elements(renderer, [scene.space], output, 1.0)?;
        elements.extend(windows.into_iter().map(Element::Space));
    } else if let Some(surface) = scene.lock.surface().filter(|_| output == scene.output) {
        let parts = render_elements_from_surface_tree(
            renderer,
            surface,
            (0, 0),
            scale,
            1.0,
            Kind::Unspecified,
        );
        elements.extend(parts.into_iter().map(Element::Surface));
    }
    Ok(elements)
}
