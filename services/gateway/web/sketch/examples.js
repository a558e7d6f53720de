// Drawings of our own, as curves. Each is a list of strokes, of points [x, y] in 0 to 256.

const arc = (x, y, rx, ry, from, to, steps = 24) =>
  Array.from({ length: steps + 1 }, (_, i) => {
    const angle = ((from + ((to - from) * i) / steps) * Math.PI) / 180;
    return [x + rx * Math.cos(angle), y + ry * Math.sin(angle)];
  });
const lines = (...corners) => corners.flatMap((corner, i) => between(corners[Math.max(i - 1, 0)], corner));
const between = ([x0, y0], [x1, y1], steps = 8) =>
  Array.from({ length: steps }, (_, i) => [x0 + ((x1 - x0) * (i + 1)) / steps, y0 + ((y1 - y0) * (i + 1)) / steps]);

export const EXAMPLES = {
  Butterfly: [
    [...arc(128, 130, 9, 58, -90, 270, 30)],
    [...arc(76, 92, 52, 46, 40, -300, 34), [120, 118]],
    [...arc(180, 92, 52, 46, 140, 480, 34), [136, 118]],
    [...arc(86, 172, 38, 36, -40, 290, 28)],
    [...arc(170, 172, 38, 36, 220, -110, 28)],
    lines([124, 74], [112, 50], [98, 36]),
    lines([132, 74], [144, 50], [158, 36]),
  ],
  "Ice cream": [
    lines([82, 118], [128, 240], [176, 116]),
    arc(128, 84, 54, 54, 140, 402, 36),
    lines([78, 120], [180, 118]),
    lines([98, 158], [150, 122]),
    lines([112, 196], [166, 140]),
  ],
  Face: [
    arc(128, 128, 104, 108, -90, 272, 44),
    arc(92, 100, 9, 11, -90, 272, 14),
    arc(164, 100, 9, 11, -90, 272, 14),
    lines([128, 116], [118, 148], [134, 150]),
    arc(128, 156, 52, 38, 160, 20, 20),
  ],
  "Alarm clock": [
    arc(128, 136, 84, 84, -90, 272, 40),
    lines([128, 136], [128, 84]),
    lines([128, 136], [164, 150]),
    arc(66, 62, 26, 22, 140, 330, 16),
    arc(190, 62, 26, 22, 210, 400, 16),
    lines([76, 204], [54, 236]),
    lines([180, 204], [202, 236]),
  ],
  Candle: [
    lines([100, 110], [100, 236], [156, 236], [156, 110], [100, 110]),
    lines([128, 110], [128, 84]),
    [...arc(128, 62, 15, 24, 90, 250, 14), [132, 22], ...arc(128, 62, 15, 24, -50, 90, 12)],
  ],
};
