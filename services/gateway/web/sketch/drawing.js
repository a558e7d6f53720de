// A drawing as strokes in units of the pad, 0 to 256. Pure.

const STEP = 1; // nearer points say nothing
export const SIZE = 256;
const MAX_POINTS = 10_000; // of the API

export class Drawing {
  strokes = []; // of {x: number[], y: number[]}
  #isOpen = false;

  get isEmpty() {
    return this.strokes.length === 0;
  }

  begin(x, y) {
    this.strokes.push({ x: [clamp(x)], y: [clamp(y)] });
    this.#isOpen = true;
  }

  /** Adds a point to the open stroke; whether it did. */
  extend(x, y) {
    const stroke = this.strokes.at(-1);
    if (!this.#isOpen || this.#count() >= MAX_POINTS) return false;
    if (Math.hypot(clamp(x) - stroke.x.at(-1), clamp(y) - stroke.y.at(-1)) < STEP) return false;
    stroke.x.push(clamp(x));
    stroke.y.push(clamp(y));
    return true;
  }

  end() {
    this.#isOpen = false;
  }

  undo() {
    this.strokes.pop();
    this.end();
  }

  clear() {
    this.strokes = [];
    this.end();
  }

  /** Strokes as the API has them, [[x…], [y…]] each; null while there is nothing that has an extent. */
  toStrokes() {
    const xs = this.strokes.flatMap((stroke) => stroke.x);
    const ys = this.strokes.flatMap((stroke) => stroke.y);
    if (xs.every((x) => x === xs[0]) && ys.every((y) => y === ys[0])) return null;
    return this.strokes.map(({ x, y }) => (x.length > 1 ? [[...x], [...y]] : [[x[0], x[0]], [y[0], y[0]]]));
  }

  #count() {
    return this.strokes.reduce((count, stroke) => count + stroke.x.length, 0);
  }
}

const clamp = (value) => Math.round(Math.min(Math.max(value, 0), SIZE) * 10) / 10;
