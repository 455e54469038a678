"""All specs: importing this registers them."""

from tests.generated import collectives as collectives
from tests.generated import complexes as complexes
from tests.generated import contractions as contractions
from tests.generated import corners as corners
from tests.generated import elementwise as elementwise
from tests.generated import laws as laws
from tests.generated import laxes as laxes
from tests.generated import matrices as matrices
from tests.generated import movement as movement
from tests.generated import networks as networks
from tests.generated import reductions as reductions
from tests.generated import samplers as samplers
from tests.generated import signals as signals
from tests.generated import special as special
from tests.generated.spec import SPECS as SPECS
