"""Makes the cases of `tests/golden/generated/`: configurations, summaries and counts, as Keras prints them.

    python make_summaries.py OUT [--each] [--random N] [--seed S]

Without options it writes the compact selection that is committed: the layers of a family side by side in one model.
(It was made with `--random 2`.) With `--each` it writes one model for every layer and operation, with `--random N` also N random graphs: a few hundred
cases for a run with GOLDEN_DIR. Needs Keras 3.15 (any backend; the committed files were made on TensorFlow).
"""

import argparse
import json
import math
import os
import random
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from keras import layers as L
from keras import ops as O

F32 = "float32"


def inputs_of(spec):
    """An input spec is a shape (without the batch), a list of shapes, or `(dtype, shape)` entries."""
    specs = spec if isinstance(spec, list) else [spec]
    made = []
    for entry in specs:
        if len(entry) == 2 and isinstance(entry[0], str):
            made.append(keras.Input(entry[1], dtype=entry[0]))
        else:
            made.append(keras.Input(entry))
    return made if isinstance(spec, list) else made[0]


# --- One entry a layer: (family, label, input spec, how the layer is called) ------------------------------------------

CALLS = []


def call(family, spec, *makers):
    for make in makers:
        CALLS.append((family, spec, make))


def layer(family, spec, *makers):
    """Layers that are called with their inputs."""
    for make in makers:
        CALLS.append((family, spec, lambda x, make=make: make()(x)))


SEQ, FREE_SEQ = (12, 6), (None, 6)
IMG, FREE_IMG, FIRST = (17, 13, 4), (None, None, 4), (4, 17, 13)
VOL, FREE_VOL = (9, 8, 7, 4), (None, 8, None, 4)

layer("dense", (7,), lambda: L.Dense(3), lambda: L.Dense(3, use_bias=False, activation="gelu"),
      lambda: L.Dense(4, kernel_initializer="he_normal", bias_initializer=keras.initializers.Constant(0.1)),
      lambda: L.Dense(5, kernel_regularizer="l2", bias_constraint="non_neg", activity_regularizer=keras.regularizers.L1L2(0.1, 0.2)),
      lambda: L.Dense(4, trainable=False), lambda: L.Dense(4, dtype="mixed_float16"), lambda: L.Dense(4, dtype="bfloat16"),
      lambda: L.Dense(4, dtype="float64"))
layer("dense", (5, 7), lambda: L.Dense(3, lora_rank=2))
layer("dense", (None, None, 7), lambda: L.Dense(3))
layer("dense", (8, 6), lambda: L.EinsumDense("abc,cd->abd", output_shape=(None, 5), bias_axes="d"),
      lambda: L.EinsumDense("abc,cde->abde", output_shape=(None, 2, 3), bias_axes="de"),
      lambda: L.EinsumDense("...x,xy->...y", output_shape=9, bias_axes="y"),
      lambda: L.EinsumDense("abc,bcd->ad", output_shape=4),
      lambda: L.EinsumDense("ab...,bc->ac...", output_shape=(5,), bias_axes="c"),
      lambda: L.EinsumDense("abc,cd->abd", output_shape=(8, 5), bias_axes="bd", activation="relu", lora_rank=2))
layer("dense", (None, 6), lambda: L.EinsumDense("abc,cd->abd", output_shape=(None, 5), bias_axes="d"))
layer("embedding", ("int32", (9,)), lambda: L.Embedding(50, 8), lambda: L.Embedding(50, 8, mask_zero=True, embeddings_initializer="normal"),
      lambda: L.Embedding(50, 8, lora_rank=3), lambda: L.ReversibleEmbedding(50, 8), lambda: L.ReversibleEmbedding(50, 8, tie_weights=False))
layer("embedding", ("int32", (None,)), lambda: L.Embedding(11, 3))
layer("embedding", ("int32", ()), lambda: L.Embedding(11, 3))
call("embedding", (6, 8), lambda x: L.ReversibleEmbedding(50, 8)(x, reverse=True), lambda x: L.ReversibleEmbedding(50, 8, tie_weights=False)(x, reverse=True))

for spec in (SEQ, FREE_SEQ):
    layer("conv1d", spec, lambda: L.Conv1D(4, 3), lambda: L.Conv1D(4, 3, 2, padding="same"), lambda: L.Conv1D(4, 3, padding="causal", dilation_rate=2),
          lambda: L.Conv1D(6, 1, groups=3, use_bias=False), lambda: L.Conv1DTranspose(4, 3, 2), lambda: L.Conv1DTranspose(4, 4, 3, padding="same", output_padding=1),
          lambda: L.DepthwiseConv1D(3, depth_multiplier=2, strides=2), lambda: L.SeparableConv1D(5, 3, depth_multiplier=2, padding="same", dilation_rate=2),
          lambda: L.Conv1D(4, 3, strides=2, padding="causal"))
layer("conv1d", (6, 12), lambda: L.Conv1D(4, 3, data_format="channels_first", padding="same"))
for spec in (IMG, FREE_IMG):
    layer("conv2d", spec, lambda: L.Conv2D(8, 3), lambda: L.Conv2D(8, (5, 2), strides=(2, 3), padding="same"), lambda: L.Conv2D(8, 3, dilation_rate=(2, 3)),
          lambda: L.Conv2D(8, 3, groups=4, use_bias=False), lambda: L.Conv2DTranspose(5, 3, 2, padding="same"), lambda: L.Conv2DTranspose(5, (3, 4), (2, 3), output_padding=(1, 2)),
          lambda: L.Conv2DTranspose(5, 3, dilation_rate=2), lambda: L.DepthwiseConv2D(3, 2, padding="same", depth_multiplier=3),
          lambda: L.DepthwiseConv2D((3, 1), dilation_rate=2, use_bias=False), lambda: L.SeparableConv2D(6, 3, 2, padding="same", depth_multiplier=2),
          lambda: L.SeparableConv2D(6, (2, 3), use_bias=False), lambda: L.Conv2D(8, 3, lora_rank=2), lambda: L.Conv2DTranspose(5, 2, (3, 1), padding="valid"))
layer("conv2d", FIRST, lambda: L.Conv2D(8, 3, data_format="channels_first", strides=2), lambda: L.Conv2DTranspose(8, 3, 2, data_format="channels_first"),
      lambda: L.DepthwiseConv2D(3, data_format="channels_first"), lambda: L.SeparableConv2D(8, 3, data_format="channels_first"))
for spec in (VOL, FREE_VOL):
    layer("conv3d", spec, lambda: L.Conv3D(3, 2), lambda: L.Conv3D(3, (1, 2, 3), (2, 1, 2), padding="same"), lambda: L.Conv3DTranspose(3, 2, 2), lambda: L.Conv3DTranspose(3, 3, (1, 2, 3), padding="same"))

for spec, n in ((SEQ, 1), (FREE_SEQ, 1), (IMG, 2), (FREE_IMG, 2), (VOL, 3), (FREE_VOL, 3)):
    for kind in ("Max", "Average"):
        P = getattr(L, f"{kind}Pooling{n}D")
        layer(f"pooling{n}d", spec, lambda P=P: P(2), lambda P=P: P(3, strides=2, padding="same"), lambda P=P: P(pool_size=2, strides=1))
        A = getattr(L, f"Adaptive{kind}Pooling{n}D")
        layer(f"pooling{n}d", spec, lambda A=A: A(3))
        G = getattr(L, f"Global{kind}Pooling{n}D")
        layer(f"pooling{n}d", spec, lambda G=G: G(), lambda G=G: G(keepdims=True))
layer("pooling2d", FIRST, lambda: L.MaxPooling2D((2, 3), data_format="channels_first"), lambda: L.GlobalAveragePooling2D(data_format="channels_first", keepdims=True),
      lambda: L.AdaptiveMaxPooling2D((2, 5), data_format="channels_first"))
layer("pooling1d", (6, 12), lambda: L.MaxPooling1D(2, data_format="channels_first"), lambda: L.GlobalMaxPooling1D(data_format="channels_first"))

layer("norms", IMG, lambda: L.BatchNormalization(), lambda: L.BatchNormalization(scale=False, center=False), lambda: L.BatchNormalization(axis=1, trainable=False),
      lambda: L.BatchNormalization(renorm=True), lambda: L.LayerNormalization(), lambda: L.LayerNormalization(axis=[1, 2]), lambda: L.LayerNormalization(scale=False), lambda: L.LayerNormalization(axis=(2, -1), center=False),
      lambda: L.GroupNormalization(2), lambda: L.GroupNormalization(-1, scale=False), lambda: L.GroupNormalization(1, axis=3), lambda: L.UnitNormalization(), lambda: L.UnitNormalization(axis=[1, 2]),
      lambda: L.RMSNormalization(), lambda: L.RMSNormalization(axis=[2, 3]), lambda: L.Normalization(), lambda: L.Normalization(axis=None), lambda: L.Normalization(axis=(1, 3)),
      lambda: L.Normalization(mean=0.5, variance=2.0), lambda: L.Normalization(axis=-1, mean=[1., 2., 3., 4.], variance=[1., 1., 1., 1.], invert=True))
layer("norms", FREE_SEQ, lambda: L.BatchNormalization(), lambda: L.LayerNormalization(), lambda: L.GroupNormalization(3), lambda: L.RMSNormalization(), lambda: L.Normalization(axis=-1))
layer("wrappers", (9,), lambda: L.SpectralNormalization(L.Dense(4)), lambda: L.SpectralNormalization(L.Dense(4, use_bias=False), power_iterations=3, name="sn"))
layer("wrappers", IMG, lambda: L.SpectralNormalization(L.Conv2D(4, 3)), lambda: L.SpectralNormalization(L.Conv2DTranspose(4, 3)), lambda: L.SpectralNormalization(L.SeparableConv2D(4, 3)) if False else L.SpectralNormalization(L.Conv2D(4, 3, groups=2, trainable=False)))
layer("wrappers", ("int32", (5,)), lambda: L.SpectralNormalization(L.Embedding(10, 4)))
for spec in ((5, 8), (None, 8)):
    layer("wrappers", spec, lambda: L.TimeDistributed(L.Dense(4)), lambda: L.TimeDistributed(L.Dense(4, name="inner", trainable=False), name="td"),
          lambda: L.TimeDistributed(L.BatchNormalization()), lambda: L.TimeDistributed(L.Dropout(0.3)), lambda: L.TimeDistributed(L.Reshape((4, 2))))
layer("wrappers", (5, 16, 16, 3), lambda: L.TimeDistributed(L.Conv2D(4, 3)), lambda: L.TimeDistributed(L.GlobalAveragePooling2D()), lambda: L.TimeDistributed(L.Flatten()),
      lambda: L.TimeDistributed(L.TimeDistributed(L.Dense(2))), lambda: L.TimeDistributed(keras.Sequential([L.Conv2D(2, 3), L.Flatten(), L.Dense(3)], name="inner_model")))

for spec in (SEQ, FREE_SEQ):
    layer("recurrent", spec, lambda: L.SimpleRNN(5), lambda: L.SimpleRNN(5, return_sequences=True, use_bias=False), lambda: L.LSTM(5), lambda: L.LSTM(5, return_sequences=True, return_state=True),
          lambda: L.GRU(5), lambda: L.GRU(5, reset_after=False, return_state=True), lambda: L.GRU(5, use_bias=False, return_sequences=True), lambda: L.LSTM(5, unit_forget_bias=False, go_backwards=True, dropout=0.2, recurrent_dropout=0.1),
          lambda: L.RNN(L.SimpleRNNCell(4)), lambda: L.RNN(L.LSTMCell(4), return_sequences=True, return_state=True), lambda: L.RNN(L.GRUCell(4, reset_after=False), return_state=True),
          lambda: L.RNN([L.LSTMCell(4), L.GRUCell(3), L.SimpleRNNCell(2)], return_state=True), lambda: L.RNN(L.StackedRNNCells([L.GRUCell(4), L.GRUCell(3)]), return_sequences=True),
          lambda: L.Bidirectional(L.LSTM(5)), lambda: L.Bidirectional(L.GRU(5, return_sequences=True), merge_mode="sum"), lambda: L.Bidirectional(L.SimpleRNN(5, return_state=True), merge_mode="ave"),
          lambda: L.Bidirectional(L.LSTM(5, return_sequences=True, return_state=True), merge_mode=None), lambda: L.Bidirectional(L.LSTM(5), backward_layer=L.LSTM(5, go_backwards=True, name="back")),
          lambda: L.Bidirectional(L.RNN(L.GRUCell(4))), lambda: L.Bidirectional(L.LSTM(5, trainable=False), name="frozen_directions"))
layer("recurrent_images", (4, 10, 3), lambda: L.ConvLSTM1D(4, 3), lambda: L.ConvLSTM1D(4, 3, return_sequences=True, padding="same"), lambda: L.RNN(L.SimpleRNNCell(3)) if False else L.ConvLSTM1D(2, 3, return_state=True))
layer("recurrent_images", (4, 10, 9, 3), lambda: L.ConvLSTM2D(4, 3), lambda: L.ConvLSTM2D(4, (3, 2), strides=(2, 1), return_sequences=True, return_state=True, use_bias=False), lambda: L.ConvLSTM2D(4, 3, dilation_rate=2, go_backwards=True),
      lambda: L.Bidirectional(L.ConvLSTM2D(4, 3, return_sequences=True)))
layer("recurrent_images", (None, 10, None, 3), lambda: L.ConvLSTM2D(4, 3, return_sequences=True))
layer("recurrent_images", (4, 3, 10, 9), lambda: L.ConvLSTM2D(4, 3, data_format="channels_first", return_state=True))
layer("recurrent_images", (2, 6, 7, 8, 3), lambda: L.ConvLSTM3D(2, 2), lambda: L.ConvLSTM3D(2, (1, 2, 3), return_sequences=True, padding="same"))
call("recurrent_states", [(7, 6), (5,)], lambda x: L.GRU(5)(x[0], initial_state=x[1]), lambda x: L.SimpleRNN(5, return_state=True)(x[0], initial_state=[x[1]]))
call("recurrent_states", [(7, 6), (5,), (5,)], lambda x: L.LSTM(5, return_sequences=True)(x[0], initial_state=[x[1], x[2]]), lambda x: L.LSTM(5)(x[0], initial_state=list(L.LSTM(5, return_state=True)(x[0]))[1:]))
call("recurrent_states", [(6,), (4,)], lambda x: L.GRUCell(4)(x[0], x[1]), lambda x: L.SimpleRNNCell(4)(x[0], [x[1]]))
call("recurrent_states", [(6,), (4,), (4,)], lambda x: L.LSTMCell(4)(x[0], [x[1], x[2]]))
call("recurrent_states", [(6,), (4,), (4,), (3,)], lambda x: L.StackedRNNCells([L.LSTMCell(4), L.GRUCell(3)])(x[0], [[x[1], x[2]], [x[3]]]))

call("attention", [(8, 16), (10, 16)], lambda x: L.MultiHeadAttention(2, 4)(x[0], x[1]), lambda x: L.MultiHeadAttention(2, 4, value_dim=5, output_shape=7)(x[0], x[1]),
     lambda x: L.MultiHeadAttention(2, 4, use_bias=False, output_shape=(3, 2))(x[0], x[1], x[1]), lambda x: L.MultiHeadAttention(2, 4)(query=x[0], value=x[1], return_attention_scores=True),
     lambda x: L.MultiHeadAttention(2, 4, use_gate=True)(x[0], x[1]), lambda x: L.GroupQueryAttention(4, 6, 2)(x[0], x[1]), lambda x: L.GroupQueryAttention(4, 6, 3, use_bias=False)(x[0], x[1], return_attention_scores=True),
     lambda x: L.GroupQueryAttention(4, 6, 2, use_gate=True)(x[0], x[1]), lambda x: L.Attention()([x[0], x[1]]), lambda x: L.Attention(use_scale=True, score_mode="concat")([x[0], x[1], x[1]]),
     lambda x: L.Attention()([x[0], x[1]], return_attention_scores=True), lambda x: L.AdditiveAttention()([x[0], x[1]]), lambda x: L.AdditiveAttention(use_scale=False)([x[0], x[1]], return_attention_scores=True),
     lambda x: L.MultiHeadAttention(2, 4, sliding_window=3)(x[0], x[0], use_causal_mask=True))
call("attention", [(4, 5, 16), (4, 5, 16)], lambda x: L.MultiHeadAttention(2, 4, attention_axes=(2,))(x[0], x[1]), lambda x: L.MultiHeadAttention(2, 4)(x[0], x[1], return_attention_scores=True))
call("attention", [(None, 16), (None, 12)], lambda x: L.MultiHeadAttention(2, 4)(x[0], x[1]), lambda x: L.MultiHeadAttention(3, 2, name="m")(x[1], value=x[0], key=x[0]))
call("attention", [(8, 16), ("bool", (8, 8))], lambda x: L.MultiHeadAttention(2, 4)(x[0], x[0], attention_mask=x[1]))

layer("activations", IMG, lambda: L.ReLU(), lambda: L.ReLU(6, 0.1, 0.2), lambda: L.LeakyReLU(), lambda: L.LeakyReLU(negative_slope=0.1), lambda: L.PReLU(), lambda: L.PReLU(shared_axes=[1, 2]), lambda: L.ELU(0.5), lambda: L.Softmax(), lambda: L.Softmax(axis=[1, 2]))
for name in ("relu", "relu6", "gelu", "silu", "mish", "softmax", "hard_tanh", "tanh_shrink", "soft_shrink", "hard_shrink", "threshold", "squareplus", "sparse_plus", "sparse_sigmoid", "sparsemax", "celu", "log_softmax", "log_sigmoid", "exponential", "hard_silu", "softsign", "softplus", "linear"):
    if hasattr(keras.activations, name) and name != "threshold":
        layer("activations", (4, 6), lambda name=name: L.Activation(name))
layer("regularization", (6, 4), lambda: L.Dropout(0.5), lambda: L.Dropout(0.5, noise_shape=(None, 1, 4), seed=3), lambda: L.GaussianDropout(0.3), lambda: L.GaussianNoise(0.3), lambda: L.AlphaDropout(0.1, noise_shape=(None, 6, 1)), lambda: L.ActivityRegularization(l1=0.1), lambda: L.SpatialDropout1D(0.2), lambda: L.Masking(2.0), lambda: L.Identity(), lambda: L.Dropout(0))
layer("regularization", IMG, lambda: L.SpatialDropout2D(0.2))
layer("regularization", VOL, lambda: L.SpatialDropout3D(0.2, data_format="channels_first"))

for spec in (IMG, FREE_IMG):
    layer("reshaping", spec, lambda: L.Flatten(), lambda: L.Flatten(data_format="channels_first"), lambda: L.Permute((3, 1, 2)), lambda: L.Cropping2D(1), lambda: L.Cropping2D((2, 1)), lambda: L.Cropping2D(((1, 0), (2, 3))), lambda: L.ZeroPadding2D(2),
          lambda: L.ZeroPadding2D((1, 2)), lambda: L.ZeroPadding2D(((1, 0), (2, 3))), lambda: L.UpSampling2D(), lambda: L.UpSampling2D((2, 3), interpolation="bilinear"), lambda: L.Reshape((-1, 4)))
layer("reshaping", SEQ, lambda: L.Reshape((8, 9)), lambda: L.Reshape((-1,)), lambda: L.Reshape((3, -1, 2)), lambda: L.Cropping1D((1, 2)), lambda: L.ZeroPadding1D(2), lambda: L.ZeroPadding1D((0, 3)), lambda: L.UpSampling1D(3), lambda: L.Permute((2, 1)))
layer("reshaping", FREE_SEQ, lambda: L.Reshape((-1, 3)), lambda: L.Reshape((-1, 2, 3)), lambda: L.Cropping1D(1), lambda: L.ZeroPadding1D(1), lambda: L.UpSampling1D(2), lambda: L.Flatten())
layer("reshaping", (4,), lambda: L.RepeatVector(3), lambda: L.Flatten(), lambda: L.Reshape((2, 2)))
layer("reshaping", (), lambda: L.Flatten(), lambda: L.Reshape((1, 1)))
layer("reshaping", VOL, lambda: L.Cropping3D(1), lambda: L.Cropping3D(((1, 0), (1, 1), (0, 2))), lambda: L.ZeroPadding3D((1, 2, 3)), lambda: L.UpSampling3D((1, 2, 3)))
layer("reshaping", FIRST, lambda: L.Cropping2D(1, data_format="channels_first"), lambda: L.ZeroPadding2D(1, data_format="channels_first"), lambda: L.UpSampling2D(2, data_format="channels_first"))

for spec in ([(5, 4), (5, 4)], [(5, 4), (1, 4)], [(None, 4), (5, 4)], [(5, 4), (4,)]):
    for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"):
        layer("merging", spec, lambda name=name: getattr(L, name)())
layer("merging", [(5, 4), (5, 4), (5, 4)], lambda: L.Add(), lambda: L.Average(), lambda: L.Concatenate(1), lambda: L.Concatenate(-1))
layer("merging", [(None, 4), (None, 3)], lambda: L.Concatenate())
layer("merging", [(None, 4), (7, 4)], lambda: L.Concatenate(axis=1), lambda: L.Dot(axes=2), lambda: L.Dot(axes=(2, 2), normalize=True))
layer("merging", [(5,), (5,)], lambda: L.Dot(1), lambda: L.Dot(-1), lambda: L.Concatenate(axis=1))
layer("merging", [(5, 4), (6, 4)], lambda: L.Dot(axes=(-1, -1)), lambda: L.Dot(axes=-1))
call("merging", [(5, 4), (5, 4)], lambda x: L.add(x), lambda x: L.concatenate(x, axis=-2))

RGB = (24, 20, 3)
layer("images", RGB, lambda: L.Rescaling(1 / 255, offset=-1), lambda: L.Resizing(10, 12), lambda: L.CenterCrop(8, 9), lambda: L.RandomCrop(8, 9), lambda: L.RandomFlip(), lambda: L.RandomRotation(0.1), lambda: L.RandomZoom(0.2), lambda: L.RandomTranslation(0.1, 0.1),
      lambda: L.RandomShear(0.1, 0.1), lambda: L.RandomPerspective(), lambda: L.RandomBrightness(0.1), lambda: L.RandomContrast(0.1), lambda: L.RandomHue(0.1, value_range=(0, 1)), lambda: L.RandomSaturation(0.5), lambda: L.RandomSharpness(0.5), lambda: L.RandomColorJitter(),
      lambda: L.RandomColorDegeneration(0.5), lambda: L.RandomGrayscale(0.5), lambda: L.RandomInvert(), lambda: L.RandomPosterization(3), lambda: L.RandomGaussianBlur(), lambda: L.RandomErasing(), lambda: L.RandomElasticTransform(), lambda: L.Solarization(),
      lambda: L.AutoContrast(), lambda: L.Equalization(), lambda: L.RandAugment(), lambda: L.AugMix(), lambda: L.ContrastLimitedAdaptiveHistogramEqualization(), lambda: L.MixUp(), lambda: L.CutMix(),
      lambda: L.Pipeline([L.RandomFlip(), L.RandomRotation(0.2), L.Rescaling(1 / 255)]), lambda: L.Resizing(10, 12, crop_to_aspect_ratio=True, interpolation="nearest"))
layer("images", (None, None, 3), lambda: L.Resizing(10, 12), lambda: L.CenterCrop(8, 9), lambda: L.RandomFlip(), lambda: L.RandomCrop(5, 5))
layer("features", (4,), lambda: L.Discretization(bin_boundaries=[0.0, 1.0, 2.0]), lambda: L.Discretization(bin_boundaries=[0.0, 1.0], output_mode="one_hot"), lambda: L.Discretization(bin_boundaries=[0.0, 1.0], output_mode="multi_hot"), lambda: L.Discretization(bin_boundaries=[0.0, 1.0], output_mode="count"))
layer("features", ("int64", (4,)), lambda: L.CategoryEncoding(5), lambda: L.CategoryEncoding(5, output_mode="one_hot"), lambda: L.CategoryEncoding(5, output_mode="count"), lambda: L.IntegerLookup(vocabulary=[3, 5, 7]), lambda: L.IntegerLookup(vocabulary=[3, 5, 7], output_mode="multi_hot", num_oov_indices=2),
      lambda: L.IntegerLookup(vocabulary=[3, 5, 7], output_mode="one_hot", mask_token=0), lambda: L.Hashing(3), lambda: L.Hashing(3, output_mode="multi_hot"))
layer("features", ("int64", (1,)), lambda: L.CategoryEncoding(5, output_mode="one_hot"), lambda: L.Hashing(3, output_mode="one_hot"), lambda: L.IntegerLookup(vocabulary=[3, 5, 7], output_mode="one_hot"))
layer("features", ("string", (1,)), lambda: L.StringLookup(vocabulary=["a", "b"]), lambda: L.StringLookup(vocabulary=["a", "b"], output_mode="one_hot"), lambda: L.StringLookup(vocabulary=["a", "b"], output_mode="multi_hot", num_oov_indices=3),
      lambda: L.TextVectorization(vocabulary=["a", "b"], output_sequence_length=6), lambda: L.TextVectorization(vocabulary=["a", "b"], output_mode="multi_hot"), lambda: L.TextVectorization(vocabulary=["a", "b"]), lambda: L.TextVectorization(vocabulary=["a", "b"], output_mode="count", pad_to_max_tokens=True, max_tokens=9),
      lambda: L.Hashing(3))
layer("features", ("string", ()), lambda: L.StringLookup(vocabulary=["a", "b"]), lambda: L.TextVectorization(vocabulary=["a", "b"], output_sequence_length=6), lambda: L.TextVectorization(vocabulary=["a", "b"], output_mode="tf_idf", idf_weights=[0.1, 0.2]))
call("features", [("int64", (1,)), ("int64", (1,))], lambda x: L.HashedCrossing(5)((x[0], x[1])), lambda x: L.HashedCrossing(5, output_mode="one_hot")((x[0], x[1])))
layer("features", (4000,), lambda: L.MelSpectrogram(), lambda: L.MelSpectrogram(num_mel_bins=20, sequence_stride=100, fft_length=512))
layer("features", (4000, 1), lambda: L.STFTSpectrogram(fft_length=256, frame_length=200, frame_step=80), lambda: L.STFTSpectrogram(mode="real", frame_length=100, frame_step=50, padding="same"), lambda: L.STFTSpectrogram(mode="stft", expand_dims=True))
layer("features", (4000, 2), lambda: L.STFTSpectrogram(fft_length=256, frame_length=200, frame_step=80))
layer("lambda", (5, 4), lambda: L.Lambda(O.relu), lambda: L.Lambda(O.transpose, output_shape=(5, 4), arguments={"axes": (0, 1, 2)}))

# --- Operations: x is one tensor (None, 6, 4) or a list ---------------------------------------------------------------

UNARY = """abs absolute arccos arccosh arcsin arcsinh arctan arctanh ceil conj conjugate copy cos cosh exp exp2 expm1 floor isfinite isinf isnan log log10 log1p log2 logical_not negative
real reciprocal rint round sign signbit sin sinc sinh sqrt square tan tanh trunc ones_like zeros_like nan_to_num erf erfinv rsqrt stop_gradient celu elu gelu hard_shrink hard_sigmoid hard_silu
hard_tanh leaky_relu log_sigmoid log_softmax relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid sparsemax squareplus tanh_shrink swapaxes_ flip fliplr_ flipud
deg2rad rad2deg cbrt angle i0 normalize cumsum cumprod argsort sort""".split()
BINARY = """add subtract multiply divide true_divide floor_divide mod power maximum minimum arctan2 equal not_equal greater greater_equal less less_equal logical_and logical_or logical_xor
hypot fmod fmax fmin heaviside copysign nextafter logaddexp logaddexp2 isclose squared_difference divide_no_nan ldexp_""".split()
REDUCE = "all any amax amin argmax argmin average count_nonzero max mean median min prod std sum var logsumexp norm nanmax nanmin nanmean nansum nanprod nanstd nanvar ptp".split()
X3 = (6, 4)
for name in UNARY:
    if hasattr(O, name):
        call("ops_unary", X3, lambda x, f=getattr(O, name): f(x))
for name in BINARY:
    if hasattr(O, name):
        call("ops_binary", [X3, (1, 4)], lambda x, f=getattr(O, name): f(x[0], x[1]), lambda x, f=getattr(O, name): f(x[0], 2.0))
for name in REDUCE:
    if hasattr(O, name):
        f = getattr(O, name)
        call("ops_reduce", X3, lambda x, f=f: f(x, axis=-1), lambda x, f=f: f(x, axis=1))
        if name not in ("average", "count_nonzero", "ptp"):
            call("ops_reduce", X3, lambda x, f=f: f(x, axis=1, keepdims=True))
        if name in ("max", "mean", "sum", "var", "amax", "logsumexp"):
            call("ops_reduce", X3, lambda x, f=f: f(x, axis=(1, 2)), lambda x, f=f: f(x, keepdims=True))
call("ops_python", X3, lambda x: x + 1, lambda x: 1 - x, lambda x: x * x, lambda x: x / 2, lambda x: x // 2, lambda x: x % 2, lambda x: x ** 2, lambda x: 2 ** x, lambda x: -x, lambda x: abs(x), lambda x: x < 1, lambda x: x >= 1, lambda x: x != 1, lambda x: x[:, 0],
     lambda x: x[:, 1:3], lambda x: x[..., 0], lambda x: x[:, ::2, None], lambda x: x[:, -1, :2], lambda x: x[0], lambda x: x @ O.transpose(x, (0, 2, 1)), lambda x: x[:, ::-1], lambda x: x[:, -3:-1, 1:100])
call("ops_shape", X3, lambda x: O.reshape(x, (-1, 8, 3)), lambda x: O.reshape(x, (-1, 24)), lambda x: O.transpose(x, (0, 2, 1)), lambda x: O.transpose(x), lambda x: O.expand_dims(x, 1), lambda x: O.expand_dims(x, -1), lambda x: O.expand_dims(x, (1, 3)), lambda x: O.squeeze(O.expand_dims(x, 1), 1), lambda x: O.squeeze(x[:, :1]),
     lambda x: O.broadcast_to(x, (2, 6, 4)), lambda x: O.repeat(x, 2, axis=1), lambda x: O.repeat(x, 3), lambda x: O.tile(x, (1, 2, 3)), lambda x: O.tile(x, 2), lambda x: O.pad(x, ((0, 0), (1, 2), (3, 0))), lambda x: O.pad(x, 1), lambda x: O.roll(x, 1, axis=1), lambda x: O.moveaxis(x, 1, 2), lambda x: O.swapaxes(x, 1, 2), lambda x: O.ravel(x),
     lambda x: O.diagonal(x, axis1=1, axis2=2), lambda x: O.take(x, [0, 2], axis=1), lambda x: O.take(x, 1, axis=-1), lambda x: O.split(x, 2, axis=-1), lambda x: O.split(x, [1, 4], axis=1), lambda x: O.unstack(x, axis=1), lambda x: O.stack([x, x], axis=1), lambda x: O.stack([x, x], axis=-1), lambda x: O.concatenate([x, x], axis=-1), lambda x: O.concatenate([x, x], axis=1),
     lambda x: O.hstack([x, x]), lambda x: O.vstack([x, x]), lambda x: O.cast(x, "float16"), lambda x: O.clip(x, 0, 1), lambda x: O.one_hot(O.cast(x[:, :, 0], "int32"), 7), lambda x: O.multi_hot(O.cast(x[:, :, 0], "int32"), 7), lambda x: O.top_k(x, 2), lambda x: O.where(x > 0, x, 0.0), lambda x: O.einsum("bij,bkj->bik", x, x), lambda x: O.matmul(x, O.transpose(x, (0, 2, 1))), lambda x: O.dot(x, O.ones((4, 3))),
     lambda x: O.tensordot(x, O.ones((4, 3)), axes=1), lambda x: O.tril(x), lambda x: O.triu(x, 1), lambda x: O.trace(x, axis1=1, axis2=2), lambda x: O.diff(x, axis=1), lambda x: O.slice(x, (0, 1, 1), (1, 2, 2)), lambda x: O.moments(x, axes=[1]), lambda x: O.meshgrid(x[:, 0, 0], x[:, 1, 1]), lambda x: O.full_like(x, 2), lambda x: O.flip(x, axis=1), lambda x: O.rot90(x, axes=(1, 2)), lambda x: O.layer_normalization(x), lambda x: O.glu(x), lambda x: O.rms_normalization(x),
     lambda x: O.digitize(x, [0.0, 1.0]), lambda x: O.searchsorted(O.array([0.0, 1.0]), x[0, 0]), lambda x: O.quantile(x, 0.5, axis=1), lambda x: O.quantile(x, [0.2, 0.5], axis=-1), lambda x: O.bincount(O.cast(x[:, :, 0], "int32"), minlength=5), lambda x: O.outer(x[:, 0, 0], x[:, 1, 0]), lambda x: O.cross(x[:, :, :3], x[:, :, 1:]), lambda x: O.nonzero(x), lambda x: O.argpartition(x, 2), lambda x: O.inner(x, O.ones((3, 4))), lambda x: O.kron(x, x), lambda x: O.vdot(x, x),
     lambda x: O.take_along_axis(x, O.argsort(x, axis=1), axis=1), lambda x: O.append(x, x, axis=1), lambda x: O.array_split(x, 4, axis=1), lambda x: O.rearrange(x, "b (h w) c -> b h w c", h=2), lambda x: O.linalg.norm(x, axis=-1), lambda x: O.fft((x, x)), lambda x: O.rfft(x), lambda x: O.rfft(x, 16), lambda x: O.stft(x[:, :, 0], 4, 2, 4), lambda x: O.extract_sequences(x, 2, 1))
call("ops_linalg", (5, 5), lambda x: O.linalg.inv(x), lambda x: O.linalg.det(x), lambda x: O.linalg.cholesky(x), lambda x: O.linalg.eigh(x), lambda x: O.linalg.qr(x), lambda x: O.linalg.svd(x), lambda x: O.linalg.svd(x, compute_uv=False), lambda x: O.linalg.solve(x, x), lambda x: O.logdet(x), lambda x: O.diag(x[0]), lambda x: O.linalg.lu_factor(x))
call("ops_images", (24, 20, 3), lambda x: O.image.resize(x, (10, 12)), lambda x: O.image.rgb_to_grayscale(x), lambda x: O.image.rgb_to_hsv(x), lambda x: O.image.hsv_to_rgb(x), lambda x: O.image.extract_patches(x, (4, 5)), lambda x: O.image.extract_patches(x, 3, strides=2, padding="same"), lambda x: O.image.pad_images(x, 1, 2, target_height=30, target_width=30), lambda x: O.image.crop_images(x, 1, 2, target_height=10, target_width=10), lambda x: O.image.gaussian_blur(x),
     lambda x: O.max_pool(x, 2), lambda x: O.average_pool(x, 3, 2, "same"), lambda x: O.conv(x, O.ones((3, 3, 3, 5))), lambda x: O.conv(x, O.ones((3, 3, 3, 5)), 2, "same"), lambda x: O.depthwise_conv(x, O.ones((3, 3, 3, 2))), lambda x: O.separable_conv(x, O.ones((3, 3, 3, 2)), O.ones((1, 1, 6, 4))), lambda x: O.conv_transpose(x, O.ones((3, 3, 5, 3)), 2, padding="same"), lambda x: O.adaptive_average_pool(x, (5, 4)), lambda x: O.depth_to_space(O.concatenate([x, x, x, x], -1), 2), lambda x: O.space_to_depth(x, 2),
     lambda x: O.image.affine_transform(x, O.ones((1, 8))), lambda x: O.image.sobel_edges(x), lambda x: O.unfold(O.transpose(x, (0, 3, 1, 2)), 3), lambda x: O.image.elastic_transform(x), lambda x: O.batch_normalization(x, O.ones(3), O.ones(3), -1), lambda x: O.image.perspective_transform(x, O.ones((1, 4, 2)), O.ones((1, 4, 2))))
call("ops_losses", [(5,), (5,)], lambda x: O.categorical_crossentropy(x[0], x[1]), lambda x: O.binary_crossentropy(x[0], x[1]), lambda x: O.sparse_categorical_crossentropy(x[0][:, 0], x[1]), lambda x: O.psnr(x[0], x[1], 1.0))
call("ops_attention", [(6, 2, 4), (6, 2, 4)], lambda x: O.dot_product_attention(x[0], x[1], x[1]))

# --- Whole models -----------------------------------------------------------------------------------------------------

MODELS = {}


def model(make):
    MODELS[make.__name__] = make
    return make


@model
def nested_operations():
    """A nested Functional lists its layers but not its operations."""
    a = keras.Input((6,), name="a")
    inner = keras.Model(a, L.Dense(3, name="inner_dense")(a * 2 + 1), name="inner")
    x, y = keras.Input((6,), name="x"), keras.Input((6,), name="y")
    return keras.Model([x, y], L.Dense(2)(inner(x) - inner(y)), name="nested_operations")


@model
def nested_three_deep():
    deep = keras.Sequential([keras.Input((4,)), L.Dense(3), L.BatchNormalization()], name="deep")
    middle = keras.Sequential([keras.Input((8,)), L.Dense(4), deep, L.Dropout(0.1)], name="middle")
    x = keras.Input((8,))
    return keras.Model(x, L.Dense(1)(middle(x)), name="nested_three_deep")


@model
def nested_frozen():
    base = keras.Sequential([keras.Input((8, 8, 3)), L.Conv2D(4, 3), L.BatchNormalization(), L.Flatten()], name="base")
    base.trainable = False
    return keras.Sequential([keras.Input((8, 8, 3)), base, L.Dense(2)], name="nested_frozen")


@model
def nested_partly_frozen():
    base = keras.Sequential([keras.Input((8,)), L.Dense(4, trainable=False), L.Dense(5)], name="base")
    x = keras.Input((8,))
    return keras.Model(x, L.Dense(2, trainable=False)(base(x)), name="nested_partly_frozen")


@model
def frozen_model():
    m = keras.Sequential([keras.Input((8,)), L.Dense(4), L.BatchNormalization(), L.Dense(2)], name="frozen_model")
    m.trainable = False
    return m


@model
def nested_other_shape():
    """The inner model is called on other shapes than it was made for."""
    a = keras.Input((None, None, 3))
    inner = keras.Model(a, L.MaxPooling2D()(L.Conv2D(4, 3)(a)), name="inner")
    x, y = keras.Input((32, 20, 3)), keras.Input((16, 16, 3))
    return keras.Model([x, y], [inner(x), inner(y)], name="nested_other_shape")


@model
def nested_operations_other_shape():
    a = keras.Input((None, 4))
    inner = keras.Model(a, O.concatenate([a, O.relu(a) * 2], axis=1)[:, 1:], name="inner")
    x = keras.Input((10, 4))
    return keras.Model(x, L.Flatten()(inner(x)), name="nested_operations_other_shape")


@model
def shared_inside_nested():
    a = keras.Input((4,))
    d = L.Dense(4, name="twice")
    inner = keras.Model(a, L.Add()([d(a), d(d(a))]), name="inner")
    x = keras.Input((4,))
    return keras.Model(x, inner(inner(x)), name="shared_inside_nested")


@model
def layer_of_two_models():
    """A layer that was called before the model was made: its later nodes are not part of the model."""
    d = L.Dense(3, name="shared")
    other = keras.Input((5,), name="other")
    d(other)
    x = keras.Input((5,), name="x")
    return keras.Model(x, L.Dense(1)(d(x)), name="layer_of_two_models")


@model
def cut_model():
    """A part of a larger graph: node indices do not start at 0 in the original."""
    x = keras.Input((5,), name="x")
    d = L.Dense(5, name="d")
    y = d(d(x))
    keras.Model(x, y)
    mid = L.Dense(2, name="last")(y)
    return keras.Model(y, mid, name="cut_model")


@model
def multiple_outputs_order():
    x = keras.Input((5,), name="x")
    outs = [L.Dense(i + 1, name=f"o{i}")(x) for i in range(4)]
    return keras.Model(x, [outs[2], outs[0], outs[3], outs[1]], name="multiple_outputs_order")


@model
def dictionaries():
    a, b = keras.Input((5,), name="a"), keras.Input((3,), name="b")
    y = L.Dense(2)(L.Concatenate()([a, b]))
    return keras.Model({"a": a, "b": b}, {"y": y, "z": L.Dense(1)(y)}, name="dictionaries")


@model
def nested_dictionaries():
    a, b = keras.Input((5,), name="a"), keras.Input((3,), name="b")
    inner = keras.Model({"a": a, "b": b}, {"y": L.Dense(2)(a), "z": L.Dense(1)(b)}, name="inner")
    p, q = keras.Input((5,), name="p"), keras.Input((3,), name="q")
    out = inner({"a": p, "b": q})
    return keras.Model([p, q], L.Add()([out["y"], out["z"]]), name="nested_dictionaries")


@model
def unused_input():
    a, b = keras.Input((5,), name="a"), keras.Input((3,), name="b")
    return keras.Model([a, b], L.Dense(2)(a), name="unused_input")


@model
def identity_model():
    x = keras.Input((5,), name="x")
    return keras.Model(x, x, name="identity_model")


@model
def same_output_twice():
    x = keras.Input((5,), name="x")
    y = L.Dense(2)(x)
    return keras.Model(x, [y, y], name="same_output_twice")


@model
def unicode_names():
    return keras.Sequential([keras.Input((8,), name="eingabe_größe"), L.Dense(4, name="密集层"), L.Dense(4, name="слой один два три четыре пять"), L.Dense(3, name="🧠 neuron"), L.Dense(2, name="é combining"), L.Dense(2, name="اتصال"), L.Dense(2, name="พยางค์ไทย")], name="netz für 手書き数字")


@model
def markup_names():
    x = keras.Input((8,), name="in[0]")
    y = L.Dense(4, name="[bold]loud")(x)
    z = L.Dense(4, name="back\\")(y)
    w = L.Dense(4, name="a[red]b")(z)
    return keras.Model(x, L.Add(name="[x]")([y, w]), name="markup [i]names")


@model
def long_words():
    x = keras.Input((8,), name="x" * 60)
    y = L.Dense(123456, name="y" * 45)(x)
    return keras.Model(x, [L.Dense(2, name="a b c d e f g h i j k l m n o p q r s t u v w x y z")(y), L.Dense(2, name="two  blanks   three")(y)], name="m" * 120)


@model
def many_connections():
    x = keras.Input((4,), name="x")
    ys = [L.Dense(4)(x) for _ in range(7)]
    return keras.Model(x, L.Add()(ys), name="many_connections")


@model
def many_outputs():
    x = keras.Input((4, 3), name="x")
    return keras.Model(x, O.split(x, 4, axis=1), name="many_outputs")


@model
def mixed_policies():
    x = keras.Input((8,), dtype="float16")
    y = L.Dense(5, dtype="mixed_float16")(x)
    y = L.BatchNormalization(dtype="float64")(y)
    y = L.Dense(3, dtype="bfloat16")(y)
    return keras.Model(x, L.Dense(2, dtype="mixed_bfloat16")(y), name="mixed_policies")


def quantized(name, mode):
    m = keras.Sequential([keras.Input((8,)), L.Dense(6), L.Dense(4, use_bias=False), L.EinsumDense("ab,bc->ac", output_shape=3, bias_axes="c")], name=name)
    m.quantize(mode)
    return m


@model
def quantized_int8():
    return quantized("quantized_int8", "int8")


@model
def quantized_int4():
    return quantized("quantized_int4", "int4")


@model
def quantized_float8():
    return quantized("quantized_float8", "float8")


@model
def quantized_embedding():
    m = keras.Sequential([keras.Input((8,), dtype="int32"), L.Embedding(20, 6), L.Dense(5)], name="quantized_embedding")
    m.quantize("int8")
    return m


@model
def quantized_embedding_int4():
    m = keras.Sequential([keras.Input((8,), dtype="int32"), L.Embedding(21, 7), L.Dense(5), L.ReversibleEmbedding(20, 6) if False else L.Dense(3)], name="quantized_embedding_int4")
    m.quantize("int4")
    return m


@model
def unbuilt():
    return keras.Sequential([L.Dense(4), L.Dropout(0.1), L.BatchNormalization(), L.LSTM(3), L.Embedding(3, 4), L.ReLU(), L.PReLU(), L.Bidirectional(L.LSTM(2)), L.TimeDistributed(L.Dense(2)), L.Flatten(), L.MultiHeadAttention(2, 2), L.Attention(), L.Normalization(), L.Activation("relu"), L.Add(), L.Conv2D(3, 3), L.MaxPooling2D(), L.RandomFlip(), L.Reshape((2,)), keras.Sequential([L.Dense(2)], name="inner")], name="unbuilt")


@model
def built_later():
    m = keras.Sequential([L.Dense(4), L.Dense(2)], name="built_later")
    m.build((None, 7))
    return m


@model
def built_by_batch():
    m = keras.Sequential([keras.Input(batch_shape=(3, 7)), L.Dense(4), L.Dense(2)], name="built_by_batch")
    return m


@model
def sequential_with_nested_first():
    inner = keras.Sequential([keras.Input((7,)), L.Dense(4)], name="inner")
    return keras.Sequential([inner, L.Dense(2)], name="sequential_with_nested_first")


@model
def empty():
    return keras.Sequential(name="empty")


@model
def stateful():
    x = keras.Input(batch_shape=(3, 5, 4))
    y = L.LSTM(3, stateful=True, return_sequences=True)(x)
    y = L.GRU(2, stateful=True, return_sequences=True)(y)
    return keras.Model(x, L.RNN([L.SimpleRNNCell(2), L.LSTMCell(3)], stateful=True)(y), name="stateful")


@model
def colons():
    return keras.Sequential([keras.Input((4,)), L.Dense(2, name="a:b"), L.Dense(2, name=": star shine"), L.Dense(3, name="x [/] y"[:3] + "_")], name="colons: plain")


@model
def quantized_wrapped():
    m = keras.Sequential([keras.Input((6, 8)), L.TimeDistributed(L.Dense(4)), L.EinsumDense("abc,cde->abde", output_shape=(None, 2, 3), bias_axes="de"), L.EinsumDense("abcd,cde->abe", output_shape=(None, 5))], name="quantized_wrapped")
    m.quantize("int8")
    return m


@model
def quantized_channels_int4():
    m = keras.Sequential([keras.Input((6, 8)), L.Dense(5), L.EinsumDense("abc,cde->abde", output_shape=(None, 2, 3), bias_axes="de")], name="quantized_channels_int4")
    m.quantize(config=keras.quantizers.Int4QuantizationConfig(block_size=None))
    return m


@model
def quantized_lora():
    m = keras.Sequential([keras.Input((8,)), L.Dense(6, lora_rank=2), L.EinsumDense("ab,bc->ac", output_shape=3, lora_rank=3)], name="quantized_lora")
    m.quantize("int8")
    return m


@model
def quantized_reversible():
    x = keras.Input((8,), dtype="int32")
    e, f = L.ReversibleEmbedding(20, 6, tie_weights=False), L.ReversibleEmbedding(21, 6)
    y = e(x)
    m = keras.Model(x, [e(y, reverse=True), f(x)], name="quantized_reversible")
    m.quantize("int8")
    return m


@model
def sparse_inputs():
    return keras.Sequential([keras.Input((7,), sparse=True), L.Dense(4)], name="sparse_inputs")


@model
def constant_arguments():
    x = keras.Input((6, 4), name="x")
    y = O.add(x, O.array([1.0, 2.0, 3.0, 4.0]))
    y = O.where(y > 0.5, y, O.zeros_like(y))
    y = O.matmul(y, O.ones((4, 3)))
    return keras.Model(x, y, name="constant_arguments")


@model
def transformer_block():
    x = keras.Input((16,), dtype="int32", name="tokens")
    y = L.Embedding(1000, 32)(x) + L.Embedding(16, 32)(O.arange(16))
    a = L.MultiHeadAttention(4, 8, dropout=0.1)(y, y, use_causal_mask=True)
    y = L.LayerNormalization(epsilon=1e-6)(y + a)
    f = L.Dense(32)(L.Dense(64, activation="gelu")(y))
    y = L.LayerNormalization()(y + f)
    return keras.Model(x, L.Dense(1000)(y[:, -1]), name="transformer_block")


@model
def encoder_decoder():
    s, t = keras.Input((None,), dtype="int32", name="source"), keras.Input((None,), dtype="int32", name="target")
    _, h, c = L.LSTM(16, return_state=True)(L.Embedding(50, 8, mask_zero=True)(s))
    y = L.LSTM(16, return_sequences=True)(L.Embedding(60, 8, mask_zero=True)(t), initial_state=[h, c])
    return keras.Model([s, t], L.Dense(60, activation="softmax")(y), name="encoder_decoder")


@model
def unet():
    x = keras.Input((32, 32, 1))
    c1 = L.Conv2D(4, 3, padding="same", activation="relu")(x)
    c2 = L.Conv2D(8, 3, padding="same", activation="relu")(L.MaxPooling2D()(c1))
    u = L.Conv2DTranspose(4, 2, strides=2)(c2)
    return keras.Model(x, L.Conv2D(1, 1, activation="sigmoid")(L.Concatenate()([u, c1])), name="unet")


@model
def inception_cell():
    x = keras.Input((28, 28, 16))
    towers = [L.Conv2D(8, 1)(x), L.Conv2D(8, 3, padding="same")(L.Conv2D(4, 1)(x)), L.Conv2D(8, 5, padding="same")(L.Conv2D(4, 1)(x)), L.Conv2D(8, 1)(L.MaxPooling2D(3, 1, "same")(x))]
    return keras.Model(x, L.GlobalAveragePooling2D()(L.Concatenate()(towers)), name="inception_cell")


@model
def variational():
    x = keras.Input((20,))
    h = L.Dense(10, activation="relu")(x)
    mean, log = L.Dense(2, name="mean")(h), L.Dense(2, name="log_variance")(h)
    z = mean + O.exp(0.5 * log)
    return keras.Model(x, [L.Dense(20)(z), mean, log], name="variational")


def compiled(optimizer, name):
    m = keras.Sequential([keras.Input((8,)), L.Dense(6, name="first"), L.BatchNormalization(), L.Dense(5, trainable=False), L.EinsumDense("ab,bcd->acd", output_shape=(2, 3))], name=name)
    m.compile(optimizer, "mse")
    m.optimizer.build(m.trainable_variables)
    return m


OPT = keras.optimizers
OPTIMIZERS = {
    "adam": lambda: OPT.Adam(), "adam_amsgrad": lambda: OPT.Adam(amsgrad=True), "adam_ema": lambda: OPT.Adam(use_ema=True), "adam_accumulation": lambda: OPT.Adam(gradient_accumulation_steps=4), "adam_ema_accumulation": lambda: OPT.Adam(use_ema=True, gradient_accumulation_steps=2),
    "adamw": lambda: OPT.AdamW(), "sgd": lambda: OPT.SGD(), "sgd_momentum": lambda: OPT.SGD(momentum=0.9), "rmsprop": lambda: OPT.RMSprop(), "rmsprop_momentum": lambda: OPT.RMSprop(momentum=0.9, centered=True), "adagrad": lambda: OPT.Adagrad(), "adadelta": lambda: OPT.Adadelta(),
    "adamax": lambda: OPT.Adamax(), "nadam": lambda: OPT.Nadam(), "ftrl": lambda: OPT.Ftrl(), "lion": lambda: OPT.Lion(), "lamb": lambda: OPT.Lamb(), "adafactor": lambda: OPT.Adafactor(), "adafactor_beta": lambda: OPT.Adafactor(beta_2_decay=-0.8, weight_decay=0.1), "muon": lambda: OPT.Muon(), "loss_scale": lambda: OPT.LossScaleOptimizer(OPT.Adam()),
    "loss_scale_sgd": lambda: OPT.LossScaleOptimizer(OPT.SGD(momentum=0.5)), "schedule": lambda: OPT.Adam(OPT.schedules.ExponentialDecay(0.1, 10, 0.9)), "sgd_schedule": lambda: OPT.SGD(OPT.schedules.CosineDecay(0.1, 10)), "schedule_free": lambda: OPT.ScheduleFreeAdamW(), "muon_excluding": lambda: OPT.Muon(exclude_layers=["first"]),
    }
for key, make in OPTIMIZERS.items():
    def build(key=key, make=make):
        return compiled(make(), f"compiled_{key}")
    MODELS[f"compiled_{key}"] = build


@model
def compiled_nested():
    base = keras.Sequential([keras.Input((8,)), L.Dense(4), L.Dense(5)], name="base")
    x = keras.Input((8,))
    m = keras.Model(x, [L.Dense(2, dtype="float16")(base(x)), L.Dense(3)(x)], name="compiled_nested")
    m.compile("adamw", ["mse", "mse"])
    m.optimizer.build(m.trainable_variables)
    return m


@model
def compiled_lstm_adafactor():
    m = keras.Sequential([keras.Input((8,), dtype="int32"), L.Embedding(20, 6), L.Bidirectional(L.LSTM(3)), L.Dense(2)], name="compiled_lstm_adafactor")
    m.compile("adafactor", "mse")
    m.optimizer.build(m.trainable_variables)
    return m


# --- Random graphs ----------------------------------------------------------------------------------------------------

def random_graph(rng, name):
    """Layers and operations drawn one after the other; every call leads to an output.

    (A call that leads to none would number the later calls of its layer otherwise than the configuration does.)
    """
    keras.utils.clear_session()
    free = rng.random() < 0.3
    size = rng.choice([12, 16, 20])
    x = keras.Input((None if free else size, size, rng.choice([1, 3, 4])))
    inputs, tensors = [x], [x]
    shared = []
    for _ in range(rng.randint(2, 14)):
        t = rng.choice(tensors[-4:])
        kind = rng.random()
        dtype = rng.choice([None, None, None, None, "mixed_float16", "float64"])
        try:
            if len(t.shape) == 4 and kind < 0.55:
                k, s = rng.choice([1, 2, 3, (2, 3)]), rng.choice([1, 1, 2, (1, 2)])
                pad = rng.choice(["valid", "same"])
                make = rng.choice([
                    lambda: L.Conv2D(rng.randint(1, 9), k, s, padding=pad, use_bias=rng.random() < 0.7, trainable=rng.random() < 0.8, dtype=dtype),
                    lambda: L.DepthwiseConv2D(k, 1, padding=pad, depth_multiplier=rng.randint(1, 2)),
                    lambda: L.SeparableConv2D(rng.randint(1, 5), k, padding=pad),
                    lambda: L.Conv2DTranspose(rng.randint(1, 5), k, s, padding=pad),
                    lambda: L.MaxPooling2D(k, s, padding=pad), lambda: L.AveragePooling2D(2, padding=pad),
                    lambda: L.BatchNormalization(scale=rng.random() < 0.5, trainable=rng.random() < 0.7), lambda: L.LayerNormalization(), lambda: L.Dropout(0.3), lambda: L.ReLU(), lambda: L.Activation("gelu"), lambda: L.UpSampling2D(), lambda: L.ZeroPadding2D(1), lambda: L.PReLU(shared_axes=[1, 2]), lambda: L.Dense(4),
                    lambda: L.GlobalAveragePooling2D(), lambda: L.Reshape((-1, t.shape[-1])),
                ])
                y = make()(t)
            elif len(t.shape) == 3 and kind < 0.6:
                y = rng.choice([lambda: L.LSTM(3, return_sequences=rng.random() < 0.5), lambda: L.GRU(4, return_sequences=True), lambda: L.Conv1D(3, 2, padding="causal"), lambda: L.MultiHeadAttention(2, 3), lambda: L.Bidirectional(L.GRU(2, return_sequences=True)), lambda: L.Dense(3), lambda: L.TimeDistributed(L.Dense(2)), lambda: L.GlobalMaxPooling1D()])()
                y = y(t, t) if isinstance(y, L.MultiHeadAttention) else y(t)
            elif len(t.shape) == 2 and kind < 0.5:
                if shared and rng.random() < 0.3:
                    y = rng.choice(shared)(t)
                else:
                    d = L.Dense(rng.choice([4, 4, 6]), trainable=rng.random() < 0.8, dtype=dtype)
                    y = d(t)
                    shared.append(d)
            elif kind < 0.7:
                others = [u for u in tensors if u.shape == t.shape]
                y = rng.choice([lambda a: L.Add()(a), lambda a: L.Concatenate()(a), lambda a: L.Multiply()(a)])([t, rng.choice(others)])
            elif kind < 0.9:
                y = rng.choice([lambda: t * 2, lambda: O.relu(t) + 1.0, lambda: O.mean(t, axis=-1, keepdims=True), lambda: O.sigmoid(t), lambda: t[:, :1], lambda: O.concatenate([t, t], axis=-1), lambda: t - O.max(t, axis=-1, keepdims=True), lambda: O.expand_dims(O.mean(t, axis=1), 1), lambda: O.split(O.concatenate([t, t], -1), 2, axis=-1)[1]])()
            else:
                a = keras.Input(t.shape[1:])
                inner = keras.Model(a, L.Dense(rng.randint(1, 5))(L.Dropout(0.1)(a)), name=f"inner_{len(tensors)}")
                y = inner(t)
                if rng.random() < 0.3:
                    y = L.Add()([y, inner(t)])
        except (ValueError, TypeError):
            continue
        tensors.append(y)
    m = keras.Model(inputs, tensors[1:] or tensors, name=name)
    if rng.random() < 0.1:
        m.trainable = False
    return m


# --- What is written down ---------------------------------------------------------------------------------------------

def shape_of(layer):
    try:
        outputs = layer._inbound_nodes[-1].output_tensors
        shapes = [list(t.shape) for t in outputs]
        return shapes[0] if len(shapes) == 1 else shapes
    except (AttributeError, IndexError):
        return None


def row(layer):
    weights = getattr(layer, "weights", [])
    entry = {
        "name": layer.name, "class": type(layer).__name__, "output_shape": shape_of(layer),
        "params": layer.count_params() if getattr(layer, "built", False) and hasattr(layer, "count_params") else 0,
        "built": bool(getattr(layer, "built", True)),
        "trainable_flag": ("Y" if layer.trainable else "N") if weights else "-",
        "weights": [{"path": w.path, "shape": list(w.shape), "dtype": w.dtype if isinstance(w.dtype, str) else str(w.dtype), "trainable": w.trainable} for w in weights],
    }
    nested = getattr(layer, "layers", None)
    if nested:
        entry["layers"] = [row(inner) for inner in nested]
    return entry


def text_of(m, columns, args):
    os.environ["COLUMNS"] = str(columns)
    lines = []
    m.summary(print_fn=lambda s, line_break=False: lines.append(s), **args)
    return "".join(lines)


def write(out, name, m, texts):
    config = m.to_json()
    (out / f"{name}.config.json").write_text(config + "\n")
    listed = []
    for index, (columns, args) in enumerate(texts):
        file = f"{name}.summary.txt" if index == 0 else f"{name}.summary_v{index}.txt"
        try:
            text = text_of(m, columns, args)
        except (ValueError, IndexError) as error:
            print(f"{name} {args}: {error}")
            continue
        (out / file).write_text(text)
        listed.append({"file": file, "console_columns": columns, "args": args})
    trainable = m._collected_trainable_weights if hasattr(m, "_collected_trainable_weights") else m.trainable_weights
    count = lambda ws: int(sum(math.prod(w.shape) for w in ws))
    size = lambda ws: keras.src.utils.summary_utils.weight_memory_size(ws)
    built = bool(m.compiled and m.optimizer and m.optimizer.built)
    ovars = m.optimizer.variables if built else []
    counts = {
        "model_name": m.name, "model_class": type(m).__name__,
        "total": count(trainable) + count(m.non_trainable_weights) + count(ovars), "trainable": count(trainable), "non_trainable": count(m.non_trainable_weights), "optimizer": count(ovars) if built else None,
        "bytes": {"total": int(size(trainable) + size(m.non_trainable_weights) + size(ovars)), "trainable": int(size(trainable)), "non_trainable": int(size(m.non_trainable_weights)), "optimizer": int(size(ovars)) if built else None},
        "columns": "connected" if "Connected to" in text_of(m, 300, {"line_length": 200}) else "sequential-like",
        "layers": [row(layer) for layer in (m._operations if isinstance(m, keras.src.models.functional.Functional) and not isinstance(m, keras.Sequential) else m.layers)],
        "texts": listed,
    }
    (out / f"{name}.counts.json").write_text(json.dumps(counts, ensure_ascii=False, separators=(",", ":")) + "\n")


LECTURE = (120, {"line_length": 80, "expand_nested": True, "show_trainable": True})
DEFAULT = (200, {})
OTHERS = [(100, {}), (70, {"line_length": 90, "expand_nested": True}), (200, {"show_trainable": True}), (200, {"line_length": 140, "positions": [0.5, 0.7, 0.8, 1.0]}), (200, {"line_length": 61, "show_trainable": True}),
          (200, {"positions": [0.3, 0.6, 0.9]}), (200, {"line_length": 100, "positions": [0.2, 0.3, 0.4], "expand_nested": True})]


def side_by_side(entries, name):
    """One model with all entries of a family as outputs; entries with the same input spec share their inputs."""
    keras.utils.clear_session()
    made, outputs = {}, []
    for spec, make in entries:
        key = repr(spec)
        if key not in made:
            made[key] = inputs_of(spec)
        try:
            outputs.append(make(made[key]))
        except Exception as error:
            print(f"{name}: skipped: {type(error).__name__}: {str(error)[:150]!r}")
    return keras.Model(list(made.values()), outputs, name=name)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--each", action="store_true")
    parser.add_argument("--random", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    families = {}
    for family, spec, make in CALLS:
        families.setdefault(family, []).append((spec, make))
    for family, entries in families.items():
        if args.each:
            groups = [(f"{family}_{i:03}", [entry]) for i, entry in enumerate(entries)]
        else:
            # Every second or third entry of a large family keeps the committed files small.
            groups = [(f"layers_{family}", entries[:: 1 + (len(entries) > 20) + (len(entries) > 40)])]
        for name, group in groups:
            try:
                m = side_by_side(group, name)
                write(args.out, name, m, [LECTURE, DEFAULT] if args.each else [LECTURE])
            except Exception as error:
                print(f"{name}: skipped: {type(error).__name__}: {str(error)[:200]!r}")
    for name, make in MODELS.items():
        keras.utils.clear_session()
        try:
            compact = [LECTURE] if name.startswith(("compiled", "quantized", "inception", "transformer", "un")) else [LECTURE, OTHERS[len(name) % len(OTHERS)]]
            write(args.out, name, make(), [LECTURE, DEFAULT] + OTHERS if args.each else compact)
        except Exception as error:
            print(f"{name}: skipped: {type(error).__name__}: {str(error)[:200]!r}")
    rng = random.Random(args.seed)
    for i in range(args.random):
        try:
            m = random_graph(rng, f"random_{i:03}")
            write(args.out, f"random_{i:03}", m, [LECTURE, DEFAULT, (200, {"show_trainable": True, "expand_nested": True})])
        except Exception as error:
            print(f"random_{i:03}: skipped: {type(error).__name__}: {str(error)[:200]!r}")


if __name__ == "__main__":
    main()
