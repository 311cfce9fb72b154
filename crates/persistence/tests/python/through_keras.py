"""Loads a model and saves it again with Keras: python through_keras.py IN.keras OUT.keras"""
import os, sys

os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")
import keras

keras.saving.load_model(sys.argv[1]).save(sys.argv[2])
