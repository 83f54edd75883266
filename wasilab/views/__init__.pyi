from . import display as display
from . import static as static
from .plots.plot_options import PlotOptions as PlotOptions
