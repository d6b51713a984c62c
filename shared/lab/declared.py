"""What the Lab may use, before there is one: so that it is built against its limits and its flags."""

from shared.platform.registry.kinds import Flag, counted

WORK = (
    *counted("matrices", 200, 4, "Feature matrices built"),
    *counted("sweeps", 20_000, 2_000, "Configurations tried in sweeps"),
    *counted("trainings", 100, 4, "Models trained"),
)
FLAGS = (
    Flag("assistant_execute", False, "The Lab's assistant may start builds, sweeps and trainings"),
    Flag("lab_sweeps", True, "Parameter sweeps in the Lab"),
    Flag("lab_trainings", True, "Training of models in the Lab"),
)
