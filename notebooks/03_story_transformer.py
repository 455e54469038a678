# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 3. A transformer that tells stories
#
# A network of the Llama kind with 260,000 parameters, made to tell stories that a small child understands: first the
# published checkpoint, then one of our own, trained here from nothing.
#
# The checkpoint and its tokenizer come from llama2.c (MIT licence), the stories from TinyStories
# (CDLA-Sharing-1.0); `anejax fetch` gets them. `ANEJAX_STORIES` may name a file of your own, of texts separated by
# `<|endoftext|>`. `ANEJAX_NOTEBOOK=short` trains for a few steps only.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

import anejax as aj
import anejax.numpy as jnp
from anejax import optim, random
from anejax.data import files, tokenizer, tokens
from anejax.models import llama, llama2c
from anejax.models.generate import generate
from anejax.train import language

SHORT = os.environ.get("ANEJAX_NOTEBOOK") == "short"
plt.rcParams.update({"figure.dpi": 70})

words = tokenizer.read(files.ensure("tok512.bin"))
config, params = llama2c.read(files.ensure("stories260K.bin"))
model = llama.Llama(config)
print(config)

# %% [markdown]
# ## A story
#
# `generate` gives one token after the other; keys and values of what was said are kept, so each step is one small
# program. At temperature 0 the likeliest token is taken each time, above it they are drawn.


# %%
def tell(params, prompt="", length=150, **how):
    start = words.encode(prompt)
    told = list(start)
    for token in generate(model, params, start, **how):
        if token == start[0] or len(told) >= length:  # the first token marks where a story begins
            break
        told.append(token)
    return words.decode(told)


print(tell(params, "Once upon a time", temperature=0))
print()
print(tell(params, "The little dragon", temperature=0.9, seed=3))

# %% [markdown]
# ## How sure it is
#
# The network gives a probability for each of its 512 tokens at each place. The bars show, for a sentence, how likely
# the token that really follows was.

# %%
sentence = words.encode("Once upon a time, there was a little girl named Lily. She loved to play outside.")
x = np.int32([sentence])
logits, _ = aj.jit(model.apply)(params, (), x)
probabilities = np.asarray(aj.nn.softmax(logits[0, :-1]))[np.arange(len(sentence) - 1), sentence[1:]]
labels = [words.piece(t).decode(errors="replace") for t in sentence[1:]]
plt.figure(figsize=(11, 2.5))
plt.bar(range(len(labels)), probabilities)
plt.xticks(range(len(labels)), labels, rotation=90, fontsize=8)
plt.ylabel("probability")
plt.show()

# %% [markdown]
# ## What it attends to
#
# Each head of the first layer, for the same sentence: row by row, how much of each earlier token a token takes in.
# The layer's own parameters are enough to compute it: queries and keys, turned by their positions.

# %%
first = params["blocks"][0][0]["main"]
norm, weights = first
stream = params["embedding"]["w"][x]
stream, _ = aj.nn.RMSNorm(eps=1e-5).apply(norm, (), stream)
size = config.features // config.heads
shape = (1, len(sentence), -1, size)
queries = aj.nn.rotary((stream @ weights["q"]).reshape(shape))
keys = jnp.repeat(aj.nn.rotary((stream @ weights["k"]).reshape(shape)), config.heads // config.kv_heads, axis=2)
scores = jnp.einsum("nthd,nshd->nhts", queries, keys) / np.sqrt(size)
causal = np.tril(np.ones((len(sentence), len(sentence)), bool))
attention = np.asarray(aj.nn.softmax(jnp.where(causal, scores, -np.inf))[0])
figure, axes = plt.subplots(2, 4, figsize=(10, 5))
for head, axis in enumerate(axes.flat):
    axis.imshow(attention[head], cmap="magma", vmin=0, vmax=0.5)
    axis.set_title(f"head {head}", fontsize=9)
    axis.axis("off")
plt.show()

# %% [markdown]
# ## One of our own
#
# The same network with random weights, trained on real stories: at each place it has to guess the next token, and the
# loss is the mean surprise in nats. Guessing blindly among 512 tokens costs 6.24; what the published checkpoint has is
# printed first, after far more training than a notebook wants to wait for.

# %%
stories = os.environ.get("ANEJAX_STORIES") or files.ensure("TinyStories-valid.txt")
stream = tokens.load(stories, words)
print(f"{len(stream):,} tokens")

steps, batch, length = (20, 8, 128) if SHORT else (200, 16, 128)
batches = tokens.TokenBatches(stream[: len(stream) * 19 // 20], batch, length, steps)
held_out = tokens.TokenEvaluation(stream[len(stream) * 19 // 20 :][: 4096 + 1], 8, length)
print("published:", language.evaluate(model, params, held_out, lambda done: None))

optimizer = optim.chain(
    optim.clip_by_global_norm(1.0), optim.adamw(optim.warmup_cosine_decay_schedule(0.0, 5e-3, steps // 10, steps))
)
own, _ = model.init(random.key(0), aj.ShapeDtypeStruct((1, 1), "int32"))
state = language.TrainState(own, optimizer.init(own))
step, curve = language.train_step(model, optimizer), []
for batch in batches.epoch(0):
    state, metrics = step(state, *batch)
    curve.append(float(metrics["loss"]))
print("ours:     ", language.evaluate(model, state.params, held_out, lambda done: None))

# %%
plt.figure(figsize=(7, 3))
plt.plot(curve)
plt.axhline(np.log(512), color="gray", linestyle=":", label="blind guess")
plt.xlabel("step")
plt.ylabel("loss in nats")
plt.legend()
plt.show()
print(tell(state.params, "Once upon a time", temperature=0.7))

# %% [markdown]
# `anejax train stories --size 15M` does this with checkpoints and at any size of the family; `anejax generate` lets a
# checkpoint write. Next: [what runs on the Neural Engine](04_neural_engine.ipynb).
