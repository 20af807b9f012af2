package shim

// Tick is how often the watch looks.
const Tick = tick
