//! The zeros that `keras.applications` puts around an image before a convolution of stride 2 without padding.

use nn_theory::Margins;

/// `⌊k / 2⌋` on both sides, one less before a side of even length (`keras.src.applications.imagenet_utils.correct_pad`), so that
/// n pixels become `⌈n / 2⌉`.
pub(super) fn halving_margins(sides: [u64; 2], kernel: usize) -> Margins<2> {
    let half = kernel / 2;
    Margins(sides.map(|side| [half - usize::from(side % 2 == 0), half]))
}
