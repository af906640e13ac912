# %% [markdown]
# # Stitch two networks
# The front of one network, a map, and the end of another. Run it cell by cell, or as a script.

# %%
from frankenstein.accumulators.moments import Moments
from frankenstein.data import Digits
from frankenstein.stitches import Affine
from frankenstein.surgery import cut, cut_points, graft
from frankenstein.zoo import load_network

sender = load_network("model_weights/tiny10/digits/in0-gn0.safetensors")
receiver = load_network("model_weights/tiny10/digits/in1-gn1.safetensors")
points = cut_points(sender)

# %% [markdown]
# Cut both behind the same layer, and let the sums of one pass solve the stitch.

# %%
front, _ = cut(sender, after="bn3")
target_front, end = cut(receiver, after="bn3")
digits = Digits(image_size=32)
moments = Moments()
for images, _ in digits.train_batches(300):
    moments.update(front(images).detach(), target_front(images).detach())
stitch = Affine(32, 32).solve(moments)

# %% [markdown]
# How often is the graft right, on images that nobody has trained on?

# %%
frank = graft(front, stitch, end)
images, labels = next(iter(digits.val_batches()))
accuracy = (frank(images).argmax(1) == labels).double().mean().item()
print(f"the graft is right in {accuracy:.1%}")
