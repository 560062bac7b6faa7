"""What OpenLineage is told of our steps: which datasets one read and wrote, in which versions.

Airflow's provider sends it with the event of the task, whose run, job and parent it makes. It asks the
operator once the step has ended, so no step, container or pod needs a client or knows the collector.
Imported only where OpenLineage is switched on: its client takes half a second.
"""

from plugins.lineage.facets import StepLineage
from plugins.lineage.places import Places
from plugins.lineage.steps import lineage_of

__all__ = ["Places", "StepLineage", "lineage_of"]
