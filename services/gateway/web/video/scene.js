// A made-up clip: a camera that moves over a drawn village.

import { record } from "./recorder.js";

const VIEW = { width: 320, height: 240 };
const WORLD = 900;
const FPS = 25;
const LENGTH_MS = 2_400;

/** name -> camera at time t from -1 to 1: {x, y} in pixels, zoom as a factor, turn in radians */
export const MOTIONS = {
  "pan left": (t) => ({ x: -110 * t }),
  "pan right": (t) => ({ x: 110 * t }),
  "tilt up": (t) => ({ y: -90 * t }),
  "tilt down": (t) => ({ y: 90 * t }),
  "zoom in": (t) => ({ zoom: 1.45 ** t }),
  "zoom out": (t) => ({ zoom: 1.45 ** -t }),
  "roll clockwise": (t) => ({ turn: 0.45 * t }),
  "roll counterclockwise": (t) => ({ turn: -0.45 * t }),
  static: () => ({}),
};

/** Draws and records a clip, in real time. */
export async function makeClip(motion) {
  const world = drawWorld();
  const canvas = Object.assign(document.createElement("canvas"), VIEW);
  const context = canvas.getContext("2d");
  const stream = canvas.captureStream(FPS);
  const started = performance.now();
  const show = () => {
    const time = Math.min(((performance.now() - started) / LENGTH_MS) * 2 - 1, 1);
    drawView(context, world, MOTIONS[motion](time));
  };
  show();
  const timer = setInterval(show, 1_000 / FPS); // animation frames would stop in a hidden tab
  try {
    return await record(stream, motion.replaceAll(" ", "-"), new Promise((resolve) => setTimeout(resolve, LENGTH_MS)));
  } finally {
    clearInterval(timer);
    for (const track of stream.getTracks()) track.stop();
  }
}

function drawView(context, world, { x = 0, y = 0, zoom = 1, turn = 0 }) {
  context.setTransform(1, 0, 0, 1, VIEW.width / 2, VIEW.height / 2);
  context.rotate(-turn);
  context.scale(zoom, zoom);
  context.drawImage(world, -WORLD / 2 - x, -WORLD / 2 - y);
}

function drawWorld() {
  const canvas = Object.assign(document.createElement("canvas"), { width: WORLD, height: WORLD });
  const context = canvas.getContext("2d");
  const sky = context.createLinearGradient(0, 0, 0, WORLD);
  sky.addColorStop(0, "#8ec5ee");
  sky.addColorStop(0.45, "#f3e3c8");
  sky.addColorStop(0.46, "#7ba05b");
  sky.addColorStop(1, "#4d7440");
  context.fillStyle = sky;
  context.fillRect(0, 0, WORLD, WORLD);
  for (let i = 0; i < 40; i++) drawCloud(context, (i * 271) % WORLD, (i * 97) % 380, 14 + ((i * 13) % 22));
  for (let i = 0; i < 110; i++) {
    const [x, y] = [(i * 347) % WORLD, 400 + ((i * 211) % 480)];
    if (i % 4 === 0) drawHouse(context, x, y, i);
    else drawTree(context, x, y, 12 + ((i * 7) % 16));
  }
  return canvas;
}

function drawCloud(context, x, y, size) {
  context.fillStyle = "#ffffffd0";
  for (const [dx, dy, part] of [[0, 0, 1], [1, 0.2, 0.8], [-1, 0.25, 0.7]]) {
    context.beginPath();
    context.arc(x + dx * size, y + dy * size, part * size, 0, 2 * Math.PI);
    context.fill();
  }
}

function drawHouse(context, x, y, seed) {
  const [width, height] = [34 + (seed % 5) * 6, 30 + (seed % 3) * 8];
  context.fillStyle = ["#e8ddc9", "#d9b08c", "#c9d1d8"][seed % 3];
  context.fillRect(x, y, width, height);
  context.fillStyle = ["#9b3d2e", "#5d4037", "#37505d"][seed % 3];
  context.beginPath();
  context.moveTo(x - 5, y);
  context.lineTo(x + width / 2, y - 22);
  context.lineTo(x + width + 5, y);
  context.fill();
  context.fillStyle = "#2b3a45";
  for (const dx of [6, width - 15]) context.fillRect(x + dx, y + 8, 9, 11);
}

function drawTree(context, x, y, size) {
  context.fillStyle = "#5a4128";
  context.fillRect(x - 2, y, 4, size);
  context.fillStyle = ["#2f5d34", "#3f7a3c", "#6b8e23"][Math.round(size) % 3];
  context.beginPath();
  context.arc(x, y - size / 3, size * 0.8, 0, 2 * Math.PI);
  context.fill();
}
