"""pmsi_chain: from a hospital report to a justified PMSI coding."""
