//! Which bars of two images are the same feature, and what the images lack to agree.

use super::cubes::{Direction, Filtration, Image};
use super::persistence::{Edges, NEVER, Pair, components, loops, loops_within};

/// Numbers of bars, for components and loops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct BarCounts {
    /// Features that both images have at the same place.
    pub matched: [usize; 2],
    /// Features of the prediction alone.
    pub unmatched_pred: [usize; 2],
    /// Features of the target alone.
    pub unmatched_target: [usize; 2],
}

impl std::ops::AddAssign for BarCounts {
    fn add_assign(&mut self, other: Self) {
        for dimension in 0..2 {
            self.matched[dimension] += other.matched[dimension];
            self.unmatched_pred[dimension] += other.unmatched_pred[dimension];
            self.unmatched_target[dimension] += other.unmatched_target[dimension];
        }
    }
}

/// What two images lack to agree.
pub(super) struct Compared {
    pub(super) loss: f64,
    /// The loss' gradient with respect to the pixels of the prediction.
    pub(super) gradient: Vec<f64>,
    pub(super) counts: BarCounts,
}

/// An image with its bars.
struct Barcode<'a> {
    image: &'a Image,
    filtration: Filtration,
    edges: Edges,
    /// Bars of some length, by dimension; of dimension 0 the last is what never dies.
    bars: [Vec<Pair>; 2],
}

/// Compares two images of the same shape in one direction, counting only what `dimensions` selects into the loss.
pub(super) fn compare(
    prediction: &Image,
    target: &Image,
    direction: Direction,
    relative: bool,
    dimensions: [bool; 2],
) -> Compared {
    let first = |(&left, &right): (&f64, &f64)| direction.first(left, right);
    let pixels = prediction.pixels.iter().zip(&target.pixels).map(first).collect();
    let both = Image { pixels, ..*prediction };
    if !relative {
        return compare_in(prediction, target, &both, direction, dimensions);
    }
    let [framed, framed_target, framed_both] = [prediction, target, &both].map(|image| framed(image, direction));
    let compared = compare_in(&framed, &framed_target, &framed_both, direction, dimensions);
    Compared { gradient: unframed(prediction, &compared.gradient, direction), ..compared }
}

/// `both` is the image in which prediction and target both lie.
fn compare_in(
    prediction: &Image,
    target: &Image,
    both: &Image,
    direction: Direction,
    dimensions: [bool; 2],
) -> Compared {
    let [of_prediction, of_target, of_both] = [prediction, target, both].map(|image| Barcode::new(image, direction));
    let mut compared =
        Compared { loss: 0.0, gradient: vec![0.0; prediction.pixels.len()], counts: BarCounts::default() };
    for (dimension, &counts) in dimensions.iter().enumerate() {
        let weight = f64::from(u8::from(counts));
        let links = of_both.bars[dimension].len();
        let mut target_of_link = vec![None; links];
        let target_links = of_target.links(&of_both, dimension);
        for (bar, link) in target_links.iter().enumerate() {
            if let Some(link) = link {
                target_of_link[*link] = Some(bar);
            }
        }
        let mut left = vec![true; target_links.len()];
        for (bar, link) in of_prediction.links(&of_both, dimension).into_iter().enumerate() {
            let partner = link.and_then(|link| target_of_link[link]);
            let mine = of_prediction.ends(dimension, bar, direction);
            let slope = match partner {
                Some(partner) => {
                    left[partner] = false;
                    compared.counts.matched[dimension] += 1;
                    let theirs = of_target.ends(dimension, partner, direction);
                    let (birth, death) = (mine.birth - theirs.birth, mine.death - theirs.death);
                    compared.loss += 2.0 * weight * (birth * birth + death * death);
                    [4.0 * weight * birth, 4.0 * weight * death]
                }
                None => {
                    compared.counts.unmatched_pred[dimension] += 1;
                    let length = mine.birth - mine.death;
                    compared.loss += weight * length * length;
                    [2.0 * weight * length, -2.0 * weight * length]
                }
            };
            compared.gradient[mine.birth_pixel] += slope[0];
            if let Some(pixel) = mine.death_pixel {
                compared.gradient[pixel] += slope[1];
            }
        }
        for (bar, _) in left.iter().enumerate().filter(|(_, left)| **left) {
            compared.counts.unmatched_target[dimension] += 1;
            let theirs = of_target.ends(dimension, bar, direction);
            compared.loss += weight * (theirs.birth - theirs.death).powi(2);
        }
    }
    compared
}

/// Values of a bar, and the pixels that they are read from.
struct Ends {
    birth: f64,
    birth_pixel: usize,
    death: f64,
    death_pixel: Option<usize>,
}

impl<'a> Barcode<'a> {
    fn new(image: &'a Image, direction: Direction) -> Self {
        let filtration = Filtration::new(image, direction);
        let edges = loops(&filtration);
        let value = |rank: u32| image.pixels[filtration.source[filtration.order[rank as usize] as usize] as usize];
        // Of the same value is of no length; the order alone does not make a feature.
        let has_length = |pair: &Pair| pair.death == NEVER || value(pair.birth) != value(pair.death);
        let of_components = components(&edges.tree, &filtration, &filtration).into_iter().filter(has_length).collect();
        let of_loops = edges.loops.iter().copied().filter(has_length).collect();
        Self { image, bars: [of_components, of_loops], edges, filtration }
    }

    /// For each bar of a dimension the bar of `both` that it becomes there, if it becomes one.
    fn links(&self, both: &Self, dimension: usize) -> Vec<Option<usize>> {
        let images = match dimension {
            0 => components(&both.edges.tree, &self.filtration, &both.filtration),
            _ => loops_within(&self.edges.closing, &self.filtration, &both.filtration),
        };
        let mut death_of = vec![None; self.filtration.order.len()];
        images.iter().for_each(|pair| death_of[pair.birth as usize] = Some(pair.death));
        let mut ending = vec![None; both.filtration.order.len()];
        let mut unending = None;
        for (bar, pair) in both.bars[dimension].iter().enumerate() {
            match ending.get_mut(pair.death as usize) {
                Some(entry) => *entry = Some(bar),
                None => unending = Some(bar),
            }
        }
        let link = |pair: &Pair| {
            let death = death_of[pair.birth as usize]?;
            if death == NEVER { unending } else { ending.get(death as usize).copied().flatten() }
        };
        self.bars[dimension].iter().map(link).collect()
    }

    fn ends(&self, dimension: usize, bar: usize, direction: Direction) -> Ends {
        let Pair { birth, death } = self.bars[dimension][bar];
        let source = |rank: u32| self.filtration.source[self.filtration.order[rank as usize] as usize] as usize;
        let birth_pixel = source(birth);
        let death_pixel = (death != NEVER).then(|| source(death));
        let value = |pixel: usize| self.image.pixels[pixel];
        Ends { birth: value(birth_pixel), birth_pixel, death: death_pixel.map_or(direction.end(), value), death_pixel }
    }
}

/// The pixel of an image that appears first.
fn earliest(image: &Image, direction: Direction) -> f64 {
    let pixels = image.pixels.iter().copied();
    pixels.reduce(|left, right| direction.first(left, right)).unwrap_or(direction.end())
}

/// An image inside a frame of one pixel that appears with its first pixel.
fn framed(image: &Image, direction: Direction) -> Image {
    let (height, width) = (image.height + 2, image.width + 2);
    let mut pixels = vec![earliest(image, direction); height * width];
    for (row, line) in image.pixels.chunks(image.width).enumerate() {
        pixels[(row + 1) * width + 1..][..image.width].copy_from_slice(line);
    }
    Image { height, width, pixels }
}

/// The gradient of the pixels inside a frame. That of the frame goes to the pixels that it has its value from.
fn unframed(image: &Image, gradient: &[f64], direction: Direction) -> Vec<f64> {
    let width = image.width + 2;
    let inside = |row: usize| &gradient[(row + 1) * width + 1..][..image.width];
    let mut inner: Vec<f64> = (0..image.height).flat_map(inside).copied().collect();
    let of_frame = gradient.iter().sum::<f64>() - inner.iter().sum::<f64>();
    let value = earliest(image, direction);
    let sources: Vec<usize> = (0..inner.len()).filter(|&pixel| image.pixels[pixel] == value).collect();
    for &pixel in &sources {
        inner[pixel] += of_frame / sources.len() as f64;
    }
    inner
}
