"""The console: a web page of open alerts, one page a narrative, and two buttons that answer back."""
