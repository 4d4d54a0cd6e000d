"""The text that `edgekd init` writes: a template, and a block of data for each kind of source."""

from __future__ import annotations

TEMPLATE = """\
# yaml-language-server: $schema={schema}
# Every field has a default: `edgekd schema pipeline` lists them. Run this with
#   edgekd run {file}
name: {name}
seed: 0                  # the same seed on the same processor gives the same bits
# seeds: 5               # do everything five times, and get figures with intervals

{data}
teacher:                 # the large network; only its answers reach the student
  model: {teacher}
  train: {{epochs: 40}}
  # require: {{accuracy: 95 %}}   # stop here if the teacher is worse than this on validation

student:                 # the network that is deployed
  model: {{name: {student}, width: 0.5}}

distill:
  # method: dist        # or kd, dkd, labels, ...: docs/distillation.md; this suits classes
  train: {{epochs: 60}}

# prune: {{keep: 0.7}}     # remove whole channels until 70 % of the multiplications remain

quantize: qat            # int8, trained through the quantizer; `ptq` only calibrates

bench: quick             # leave this line out for figures to publish

budget:                  # a miss is told at the end, with exit code 3
  accuracy_drop: 2 %     # below the teacher, on the test set
  # size: 40 kB
  # latency: {{device: local, threads: 1, p50: 2 ms}}
"""

DIGITS = """\
data:
  source: digits         # scikit-learn's handwritten digits; or the path of your own .npz
  augment: {shift: 1}
"""

NPZ = """\
data:
  source: npz
  path: {path}
{augment}"""

WINDOWS = """\
data:
  source: series         # windows that are cut already
  path: {path}
  layout: {layout}            # windows, channels and steps, or NTC: windows, steps, channels
  # group: ...           # an array (N,), such as a machine, that no two parts share
  augment: {{time_shift: {shift}, noise: 0.1}}
"""

PICTURES = """\
data:
  source: image_folder
  path: {path}
{size}  augment: {{shift: {shift}}}    # and flip: true, where a mirrored picture is the same class
"""

RECORDINGS = """\
data:
  source: audio_folder
  path: {path}
{label}  seconds: {seconds:g}           # longer ones are cut, shorter ones padded with silence
  # group: ...           # expression in a file's path, such as a speaker, that no two parts share
  augment: {{time_shift: 4, noise: 0.1, mask_time: 6, mask_frequency: 5}}
"""

TABLE = """\
data:
  source: table
  path: {path}
  label: {label}         # the column that is to be told
  # categorical: [...]   # numbers that are codes; text is found by itself
  # drop: [...]          # columns to leave out, such as a row's number
"""

SERIES = """\
data:
  source: series         # a row a step, in the order of time; a column a channel
  path: {path}
  label: {label}         # a window has the label of most of its steps
{columns}  window: {window}
  # stride: {stride}           # from a window's start to the next one's
  augment: {{time_shift: {shift}, noise: 0.1}}
"""

AUGMENT = (
    "  augment: {shift: 2}    # and flip: true, where a mirrored image is still the same class\n"
)
