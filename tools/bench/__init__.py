"""The measurements behind ``make bench``: each module measures one goal against what it is compared with."""
