# %% [markdown]
# # Compare all layers
# One pass over the data for every pair of layers, then a picture and a table.

# %%
from frankenstein.data import Digits
from frankenstein.similarity import similarity_matrices
from frankenstein.zoo import load_network

one = load_network("model_weights/tiny10/digits/in0-gn0.safetensors")
other = load_network("model_weights/tiny10/digits/in1-gn1.safetensors")
digits = Digits(image_size=32)

# %%
matrices = similarity_matrices(
    one, other, digits.val_batches(100), ["unbiased_cka", "linear_cka"], "bn*", "bn*"
)
matrix = matrices["unbiased_cka"]
print(matrix)

# %%
figure = matrix.plot()
print(f"bn3 of one, bn5 of the other: {matrix['bn3', 'bn5']:.3f}")
