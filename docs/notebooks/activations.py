# %% [markdown]
# # Compare arrays
# Two arrays of the same examples are enough: neurons, embeddings, features of another program.

# %%
import torch

from frankenstein.measures import linear_cka, mean_cca, procrustes_similarity, unbiased_cka

generator = torch.Generator().manual_seed(0)
x = torch.randn(200, 20, generator=generator)
rotation = torch.linalg.qr(torch.randn(20, 20, generator=generator))[0]
alike = x @ rotation + 3
unlike = torch.randn(200, 20, generator=generator)

# %% [markdown]
# A rotation and a shift change nothing. Unrelated rows give about 0 with the unbiased measure, and
# more with the biased one.

# %%
values = {
    measure.__name__: (measure(x, alike).item(), measure(x, unlike).item())
    for measure in (unbiased_cka, linear_cka, procrustes_similarity, mean_cca)
}
for name, (same, chance) in values.items():
    print(f"{name:22} {same:6.3f} {chance:6.3f}")
