"""Reports that are ordered over HTTP and told of by typed messages."""
