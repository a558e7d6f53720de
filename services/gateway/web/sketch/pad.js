// The pad: pointer and keyboard to strokes, and strokes to SVG.

import { draw } from "../elements.js";
import { SIZE } from "./drawing.js";

const KEY_STEP = 6;
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Wires the pad to a Drawing; calls `changed(isFinal)` after each change by hand. Returns how to show it again. */
export function wirePad(svg, drawing, changed) {
  const pen = { x: SIZE / 2, y: SIZE / 2, isDown: false, isShown: false };
  const show = () => render(svg, drawing, pen);
  const tell = (isFinal) => {
    show();
    changed(isFinal);
  };
  wirePointer(svg, drawing, pen, tell);
  wireKeys(svg, drawing, pen, tell, show);
  show();
  return show;
}

function wirePointer(svg, drawing, pen, tell) {
  let pointer = null; // a second finger does not draw
  svg.addEventListener("pointerdown", (event) => {
    if (pointer !== null || event.button !== 0) return;
    pointer = event.pointerId;
    svg.setPointerCapture(pointer);
    pen.isShown = pen.isDown = false;
    drawing.begin(...locate(svg, event));
    tell(false);
  });
  svg.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    const added = (events.length ? events : [event]).map((one) => drawing.extend(...locate(svg, one)));
    if (added.includes(true)) tell(false);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    svg.addEventListener(name, (event) => {
      if (event.pointerId !== pointer) return;
      pointer = null;
      drawing.end();
      tell(true);
    });
  }
}

function wireKeys(svg, drawing, pen, tell, show) {
  svg.addEventListener("keydown", (event) => {
    const move = MOVES[event.key];
    if (!move && event.key !== " ") return;
    event.preventDefault();
    pen.isShown = true;
    if (!move) {
      if (pen.isDown) drawing.end();
      else drawing.begin(pen.x, pen.y);
      pen.isDown = !pen.isDown;
      tell(!pen.isDown);
      return;
    }
    const step = event.shiftKey ? KEY_STEP * 4 : KEY_STEP;
    [pen.x, pen.y] = [pen.x + move[0] * step, pen.y + move[1] * step].map((v) => Math.min(Math.max(v, 4), SIZE - 4));
    if (pen.isDown && drawing.extend(pen.x, pen.y)) tell(false);
    else show();
  });
  svg.addEventListener("blur", () => {
    if (pen.isDown) {
      drawing.end();
      pen.isDown = false;
      tell(true);
    }
    pen.isShown = false;
    show();
  });
}

function locate(svg, event) {
  const box = svg.getBoundingClientRect();
  return [((event.clientX - box.left) / box.width) * SIZE, ((event.clientY - box.top) / box.height) * SIZE];
}

function render(svg, drawing, pen) {
  const lines = drawing.strokes.map(({ x, y }) => {
    const points = x.map((value, i) => `${value},${y[i]}`);
    return draw("polyline", { points: (points.length > 1 ? points : [points[0], points[0]]).join(" ") });
  });
  const middle = { x: SIZE / 2, y: SIZE / 2 };
  if (drawing.isEmpty && !pen.isShown) lines.push(draw("text", { class: "prompt", ...middle }, "Draw here"));
  if (pen.isShown) lines.push(draw("circle", { class: "pen", cx: pen.x, cy: pen.y, r: pen.isDown ? 4 : 6 }));
  svg.replaceChildren(...lines);
}
