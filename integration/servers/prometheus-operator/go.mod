// The Prometheus Operator's own description of a PodMonitor, against which deploy's is read.
// Nothing of it is built.
module podmonitor

go 1.24

require github.com/prometheus-operator/prometheus-operator v0.85.0
