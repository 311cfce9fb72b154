"""Loads a state_dict without running code and saves it again with PyTorch: python through_torch.py IN.pt OUT.pt"""
import sys

import torch

torch.save(torch.load(sys.argv[1], weights_only=True), sys.argv[2])
