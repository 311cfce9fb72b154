//! ONNX: networks written for other runtimes, and models of other programs read as descriptions with weights.
//!
//! Source: `onnx/onnx.proto` and the operators of <https://onnx.ai/onnx/operators/>.

mod description;
mod export;
mod import;
mod protobuf;

pub use export::OPSET;
pub(crate) use export::write;
pub(crate) use import::read;
