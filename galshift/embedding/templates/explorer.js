"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const PALETTE = ["#2f8fd0", "#e07b00", "#1fa37a", "#c95fa6", "#b08d00", "#7a73d8", "#d1495b", "#6d8a96"];
  // Cividis-like: even in lightness, and the same to the colour-blind.
  const RAMP = [[0, 52, 110], [72, 82, 108], [124, 123, 120], [176, 165, 112], [230, 212, 79], [255, 234, 70]];
  const n = data.points.length;
  const columns = new Map(data.columns.map((c) => [c.name, c]));
  const onMap = data.points.map((p, i) => (p ? i : -1)).filter((i) => i >= 0);
  const canvas = $("map"), pen = canvas.getContext("2d"), tip = $("tip");
  const hidden = new Map();            // column name -> set of hidden codes
  let chosen = new Set(), order = onMap.slice(), shown = new Uint8Array(n).fill(1);
  let view = { x: 0, y: 0, scale: 1 }, lassoing = false, path = null, drag = null, hover = -1;

  const images = data.atlases.map((uri) => { const image = new Image(); image.onload = gallery; image.src = uri; return image; });

  const value = (column, i) => column.kind === "text" ? column.words[column.values[i]] : column.values[i];
  const text = (v) => v === null || v === undefined ? "" : String(v);
  const current = () => columns.get($("colour").value);

  function extent(values) {
    const finite = values.filter((v) => v !== null).sort((a, b) => a - b);
    if (!finite.length) return [0, 1];
    const at = (q) => finite[Math.round(q * (finite.length - 1))];
    const low = at(0.01), high = at(0.99);
    return high > low ? [low, high] : [low, low + 1];
  }
  const extents = new Map(data.columns.filter((c) => c.kind === "number").map((c) => [c.name, extent(c.values)]));

  function ramp(share) {
    const t = Math.min(Math.max(share, 0), 1) * (RAMP.length - 1), k = Math.min(Math.floor(t), RAMP.length - 2), f = t - k;
    return "rgb(" + RAMP[k].map((v, j) => Math.round(v + f * (RAMP[k + 1][j] - v))).join(",") + ")";
  }
  function colour(column, i) {
    const v = column.values[i];
    if (column.kind === "text") return PALETTE[v % PALETTE.length];
    if (v === null) return "#888888";
    const [low, high] = extents.get(column.name);
    return ramp((v - low) / (high - low));
  }

  function home() {
    const box = canvas.getBoundingClientRect();
    const xs = onMap.map((i) => data.points[i][0]), ys = onMap.map((i) => data.points[i][1]);
    const [x0, x1] = [xs.reduce((a, b) => Math.min(a, b), Infinity), xs.reduce((a, b) => Math.max(a, b), -Infinity)];
    const [y0, y1] = [ys.reduce((a, b) => Math.min(a, b), Infinity), ys.reduce((a, b) => Math.max(a, b), -Infinity)];
    const scale = 0.92 * Math.min(box.width / ((x1 - x0) || 1), box.height / ((y1 - y0) || 1));
    view = { scale, x: box.width / 2 - scale * (x0 + x1) / 2, y: box.height / 2 + scale * (y0 + y1) / 2 };
    draw();
  }
  const place = (i) => [view.x + view.scale * data.points[i][0], view.y - view.scale * data.points[i][1]];

  function filter() {
    const wanted = $("search").value.trim().toLowerCase(), ids = columns.get("id");
    const column = current(), numeric = column.kind === "number";
    const [low, high] = numeric ? extents.get(column.name) : [0, 1];
    const least = numeric && +$("range").value > 0 ? low + (high - low) * $("range").value / 100 : -Infinity;
    $("rangebox").hidden = !numeric;
    $("rangevalue").textContent = least === -Infinity ? "all" : least.toPrecision(3);
    for (let i = 0; i < n; i++) {
      let ok = data.points[i] !== null;
      for (const [name, codes] of hidden) if (codes.size && codes.has(columns.get(name).values[i])) ok = false;
      if (ok && wanted && ids && !text(value(ids, i)).toLowerCase().includes(wanted)) ok = false;
      if (ok && least > -Infinity && !(column.values[i] !== null && column.values[i] >= least)) ok = false;
      shown[i] = ok ? 1 : 0;
    }
    order = onMap.filter((i) => shown[i]);
    // Low values first, so that the unusual lie on top; categories interleaved, so that none hides another.
    if (numeric) order.sort((a, b) => (column.values[a] ?? -Infinity) - (column.values[b] ?? -Infinity));
    else order.sort((a, b) => ((a * 2654435761) >>> 0) - ((b * 2654435761) >>> 0));
    chosen = new Set([...chosen].filter((i) => shown[i]));
    draw(); gallery();
  }

  function draw() {
    const box = canvas.getBoundingClientRect(), ratio = window.devicePixelRatio || 1;
    if (canvas.width !== Math.round(box.width * ratio) || canvas.height !== Math.round(box.height * ratio)) {
      canvas.width = Math.round(box.width * ratio); canvas.height = Math.round(box.height * ratio);
    }
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, box.width, box.height);
    const column = current(), radius = Math.max(1.6, Math.min(4.5, 60 / Math.sqrt(n)));
    for (const i of order) {
      const [x, y] = place(i);
      if (x < -5 || y < -5 || x > box.width + 5 || y > box.height + 5) continue;
      pen.globalAlpha = chosen.size && !chosen.has(i) ? 0.15 : 0.8;
      pen.fillStyle = colour(column, i);
      pen.beginPath(); pen.arc(x, y, chosen.has(i) ? radius + 1 : radius, 0, 7); pen.fill();
    }
    pen.globalAlpha = 1;
    const ink = getComputedStyle(document.body).color;
    if (hover >= 0) {
      const [x, y] = place(hover);
      pen.strokeStyle = ink; pen.lineWidth = 2; pen.beginPath(); pen.arc(x, y, radius + 3, 0, 7); pen.stroke();
    }
    pen.fillStyle = ink; pen.font = "12px system-ui, sans-serif"; pen.globalAlpha = 0.65;
    pen.fillText(data.axes[0] + " →", box.width / 2 - 20, box.height - 8);
    pen.save(); pen.translate(14, box.height / 2 + 20); pen.rotate(-Math.PI / 2); pen.fillText(data.axes[1] + " →", 0, 0); pen.restore();
    pen.globalAlpha = 1;
    if (path && path.length > 1) {
      pen.strokeStyle = ink; pen.setLineDash([5, 4]); pen.beginPath(); pen.moveTo(...path[0]);
      for (const point of path) pen.lineTo(...point);
      pen.closePath(); pen.stroke(); pen.setLineDash([]);
    }
    $("count").textContent = `${order.length} of ${n} galaxies shown` + (chosen.size ? `, ${chosen.size} selected` : "");
  }

  function thumbnail(i, size) {
    const small = document.createElement("canvas");
    small.width = small.height = size;
    const tile = data.tiles[i];
    if (tile >= 0) {
      const perSheet = data.atlas_columns * data.atlas_columns, at = tile % perSheet;
      const image = images[Math.floor(tile / perSheet)];
      if (image.complete && image.naturalWidth) {
        small.getContext("2d").drawImage(image, (at % data.atlas_columns) * data.side,
          Math.floor(at / data.atlas_columns) * data.side, data.side, data.side, 0, 0, size, size);
      }
    }
    return small;
  }

  function legend() {
    const box = $("legend"), column = current();
    box.replaceChildren();
    if (column.kind === "number") {
      const [low, high] = extents.get(column.name);
      const bar = document.createElement("div"), ends = document.createElement("div");
      bar.className = "ramp"; ends.className = "ends";
      bar.style.background = "linear-gradient(to right," + RAMP.map((c) => `rgb(${c})`).join(",") + ")";
      for (const v of [low, high]) { const end = document.createElement("span"); end.textContent = v.toPrecision(3); ends.append(end); }
      box.append(bar, ends);
      return;
    }
    const counts = new Array(column.words.length).fill(0);
    for (const i of onMap) counts[column.values[i]]++;
    if (!hidden.has(column.name)) hidden.set(column.name, new Set());
    const off = hidden.get(column.name);
    column.words.slice(0, 60).forEach((word, code) => {
      const button = document.createElement("button"), swatch = document.createElement("span"), name = document.createElement("span");
      button.type = "button"; swatch.className = "swatch"; swatch.style.background = PALETTE[code % PALETTE.length];
      name.textContent = `${word || "(none)"} · ${counts[code]}`;
      button.setAttribute("aria-pressed", String(!off.has(code)));
      button.append(swatch, name);
      button.addEventListener("click", () => { if (off.has(code)) off.delete(code); else off.add(code); legend(); filter(); });
      box.append(button);
    });
    if (column.words.length > 60) { const more = document.createElement("p"); more.textContent = `and ${column.words.length - 60} more`; box.append(more); }
  }

  function gallery() {
    const box = $("pictures"), anomaly = columns.get("anomaly"), ids = columns.get("id");
    const rows = (chosen.size ? [...chosen] : order.slice()).filter((i) => data.tiles[i] >= 0 || chosen.size);
    if (anomaly) rows.sort((a, b) => (anomaly.values[b] ?? -1) - (anomaly.values[a] ?? -1));
    $("chosen").textContent = chosen.size ? `Selected galaxies (${chosen.size})` : "Most unusual galaxies";
    box.replaceChildren(...rows.slice(0, 48).map((i) => {
      const item = document.createElement("div"), title = document.createElement("div"), note = document.createElement("div");
      item.className = "picture"; title.className = "title"; note.className = "note";
      title.textContent = ids ? text(value(ids, i)) : `row ${i}`;
      note.textContent = ["data_set", "prediction"].filter((c) => columns.has(c)).map((c) => text(value(columns.get(c), i))).join(" · ");
      item.append(thumbnail(i, 96), title, note);
      item.addEventListener("mouseenter", () => { hover = i; draw(); });
      item.addEventListener("mouseleave", () => { hover = -1; draw(); });
      return item;
    }));
  }

  function near(x, y) {
    let best = -1, least = 144;
    for (const i of order) {
      const [px, py] = place(i), d = (px - x) ** 2 + (py - y) ** 2;
      if (d <= least) { least = d; best = i; }
    }
    return best;
  }
  function tell(i, x, y) {
    tip.hidden = i < 0;
    if (i < 0) return;
    const lines = data.columns.slice(0, 12).map((c) => {
      const line = document.createElement("div"), v = value(c, i);
      line.textContent = `${c.name}: ${typeof v === "number" && !Number.isInteger(v) ? v.toPrecision(3) : text(v)}`;
      return line;
    });
    tip.replaceChildren(...(data.tiles[i] >= 0 ? [thumbnail(i, 120)] : []), ...lines);
    const box = canvas.getBoundingClientRect();
    tip.style.left = Math.max(4, Math.min(x + 16, box.width - tip.offsetWidth - 6)) + "px";
    tip.style.top = Math.max(4, Math.min(y + 16, box.height - tip.offsetHeight - 6)) + "px";
  }
  const at = (event) => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };

  function inside(x, y) {
    let odd = false;
    for (let i = 0, j = path.length - 1; i < path.length; j = i++) {
      const [xi, yi] = path[i], [xj, yj] = path[j];
      if ((yi > y) !== (yj > y) && x < (xj - xi) * (y - yi) / (yj - yi) + xi) odd = !odd;
    }
    return odd;
  }
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    if (lassoing || event.shiftKey) path = [at(event)]; else drag = at(event);
    tell(-1);
  });
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = at(event);
    if (path) { path.push([x, y]); draw(); return; }
    if (drag) { view.x += x - drag[0]; view.y += y - drag[1]; drag = [x, y]; draw(); return; }
    const found = near(x, y);
    if (found !== hover) { hover = found; draw(); }
    tell(hover, x, y);
  });
  canvas.addEventListener("pointerup", () => {
    if (path && path.length > 2) chosen = new Set(order.filter((i) => inside(...place(i))));
    path = null; drag = null; draw(); gallery();
  });
  canvas.addEventListener("pointerleave", () => { hover = -1; tell(-1); draw(); });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const [x, y] = at(event), factor = Math.exp(-event.deltaY * 0.0015);
    view = { scale: view.scale * factor, x: x + (view.x - x) * factor, y: y + (view.y - y) * factor };
    draw();
  }, { passive: false });

  function csv() {
    const quote = (v) => { const s = text(v); return /[",\n\r]/.test(s) ? `"${s.replaceAll('"', '""')}"` : s; };
    const rows = chosen.size ? [...chosen].sort((a, b) => a - b) : Array.from({ length: n }, (_, i) => i).filter((i) => shown[i] || !data.points[i]);
    const head = [...data.columns.map((c) => c.name), "x", "y"].map(quote).join(",");
    return [head, ...rows.map((i) => [...data.columns.map((c) => value(c, i)), ...(data.points[i] || [null, null])].map(quote).join(","))].join("\n") + "\n";
  }
  $("export").addEventListener("click", () => {
    const link = document.createElement("a"), url = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
    link.href = url; link.download = data.file; link.click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  });
  $("lasso").addEventListener("click", () => { lassoing = !lassoing; $("lasso").setAttribute("aria-pressed", String(lassoing)); });
  $("home").addEventListener("click", home);
  $("clear").addEventListener("click", () => { chosen = new Set(); draw(); gallery(); });
  $("search").addEventListener("input", filter);
  $("range").addEventListener("input", filter);
  for (const column of data.columns) {
    if (column.kind === "text" && column.words.length > 200) continue;
    const option = document.createElement("option");
    option.value = option.textContent = column.name;
    $("colour").append(option);
  }
  $("colour").value = data.colour_by;
  if (!current()) $("colour").selectedIndex = 0;
  $("colour").addEventListener("change", () => { $("range").value = 0; legend(); filter(); });
  window.addEventListener("resize", home);
  legend(); filter(); home();
})();
