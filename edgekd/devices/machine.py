"""The facts about the machine that runs edgekd."""

from __future__ import annotations

from edgekd.results import Machine


def describe_machine() -> Machine:
    """This machine. It says the same every time, so that artefacts' keys can hold it."""
    from edgekd.agent.agent import machine_facts

    facts = machine_facts()
    return Machine(**{name: facts[name] for name in Machine.model_fields})
