//! Sound as images of frequencies over time.

use super::{LayerSpec, convolution::Window, positive, single};
use crate::{DataFormat, Initializer, Padding, Shape, error::Problem, weight::Weight};

layer! {
    /// The energy of a sound in bands of the mel scale (`keras.layers.MelSpectrogram`): input `(batch, samples)`, output
    /// `(batch, num_mel_bins, ⌊(samples + stride + 1) / stride⌋)`.
    MelSpectrogram() {
        /// Length of the Fourier transform.
        fft_length: usize = 2048,
        /// Samples between two windows.
        sequence_stride: usize = 512,
        /// Number of bands.
        num_mel_bins: usize = 128,
    }
}

impl LayerSpec for MelSpectrogram {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        positive("sequence_stride", &[self.sequence_stride])?;
        let input = single(inputs)?;
        let (front, samples) = match input.0.as_slice() {
            [samples] => (Vec::new(), *samples),
            [batch, samples] => (vec![*batch], *samples),
            _ => {
                return Err(Problem::shape(format!(
                    "expects an input of rank 2 (batch, samples), found {input}"
                )));
            }
        };
        let stride = self.sequence_stride as u64;
        let too_large = || Problem::too_large("the number of windows");
        let windows = samples.map(|samples| {
            let sum = samples.checked_add(stride).and_then(|sum| sum.checked_add(1));
            sum.map(|sum| sum / stride).ok_or_else(too_large)
        });
        let mut dims = front;
        dims.extend([Some(self.num_mel_bins as u64), windows.transpose()?]);
        Ok(vec![Shape(dims)])
    }
}

layer! {
    /// The short-time Fourier transform as a convolution with fixed kernels (`keras.layers.STFTSpectrogram`): input
    /// `(batch, samples, channels)`, output `(batch, windows, (fft_length / 2 + 1) channels)`.
    STFTSpectrogram() {
        /// What is computed: `log`, `magnitude`, `psd`, `real`, `imag`, `angle` or `stft` (real and imaginary parts).
        mode: String = "log".to_owned(),
        /// Samples of a window.
        frame_length: usize = 256,
        /// Samples between two windows; by default half a window.
        frame_step: Option<usize> = None,
        /// Length of the Fourier transform; by default the next power of two that the window fits into.
        fft_length: Option<usize> = None,
        /// What is added around the input.
        padding: Padding = Padding::Valid,
        /// Where the channels are.
        data_format: DataFormat = DataFormat::ChannelsLast,
        /// Whether frequencies and channels stay axes of their own.
        expand_dims: bool = false,
    }
}

impl STFTSpectrogram {
    fn frequencies(&self) -> u64 {
        let length = self
            .fft_length
            .or_else(|| self.frame_length.checked_next_power_of_two());
        length.unwrap_or(usize::MAX) as u64 / 2 + 1
    }
}

impl LayerSpec for STFTSpectrogram {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        let step = self.frame_step.unwrap_or(self.frame_length / 2);
        positive("frame_length", &[self.frame_length])?;
        positive("frame_step", &[step])?;
        let input = single(inputs)?;
        let window = Window {
            what: "window",
            size: &[self.frame_length],
            strides: &[step],
            dilation: &[],
            padding: self.padding,
            format: self.data_format,
        };
        let shape = window.output(input, None)?;
        let (batch, windows, channels) = match (self.data_format, shape.0.as_slice()) {
            (DataFormat::ChannelsLast, [batch, windows, channels]) => (*batch, *windows, *channels),
            (DataFormat::ChannelsFirst, [batch, channels, windows]) => (*batch, *windows, *channels),
            _ => return Err(Problem::shape(format!("expects an input of rank 3, found {input}"))),
        };
        let parts = if self.mode == "stft" { 2 } else { 1 };
        let frequencies = self.frequencies().saturating_mul(parts);
        let all = channels.map(|channels| {
            channels
                .checked_mul(frequencies)
                .ok_or_else(|| Problem::too_large("the number of channels"))
        });
        let all = all.transpose()?;
        let dims = match (self.data_format, self.expand_dims) {
            (DataFormat::ChannelsLast, true) => vec![batch, windows, Some(frequencies), channels],
            (DataFormat::ChannelsLast, false) => vec![batch, windows, all],
            (DataFormat::ChannelsFirst, true) => vec![batch, channels, windows, Some(frequencies)],
            (DataFormat::ChannelsFirst, false) => vec![batch, all, windows],
        };
        Ok(vec![Shape(dims)])
    }

    fn weights(&self, _: &[Shape]) -> Result<Vec<Weight>, Problem> {
        let dims = [
            (self.frame_length as u64, "frame_length"),
            (1, "1"),
            (self.frequencies(), "frequencies"),
        ];
        let names: &[&str] = match self.mode.as_str() {
            "real" => &["real_kernel"],
            "imag" => &["imag_kernel"],
            _ => &["real_kernel", "imag_kernel"],
        };
        // The kernels are computed from the window; nothing is drawn.
        let computed = Initializer::Other(serde_json::json!({ "class_name": "STFTInitializer" }));
        Ok(names.iter().map(|name| Weight::new(name, dims, &computed)).collect())
    }

    fn needs_shape(&self) -> bool {
        true
    }
}
