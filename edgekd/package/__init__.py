"""Bundles for apps: a run's model with its preprocessing, golden samples, manifest and card.

    run folder ─▶ gather ─▶ Deployable ─▶ Target.write ─▶ OUT/TARGET/{bundle, manifest, card}

`linux_code` and `web_code` are what runs inside a bundle; they import nothing of edgekd.
"""
