//! BPMN XML to a validated, executable graph with diagnostics.
