// Node doing nothing: what the runtime itself costs.
setInterval(() => {}, 1e9);
