// Start at the first step.

// Say on the first card what this graph is about.
for (const place of document.querySelectorAll("#card .end")) place.textContent = model.name;

showPicture();
show(stepInAddress());
