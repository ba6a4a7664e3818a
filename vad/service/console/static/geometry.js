// Points and polygons in fractions of the picture.

export const clamp = (value) => Math.min(1, Math.max(0, value));
export const within = ([x, y]) => [clamp(x), clamp(y)];
export const rounded = (points) => points.map(([x, y]) => [Number(x.toFixed(4)), Number(y.toFixed(4))]);

export function area(points) {
  let twice = 0;
  points.forEach(([x, y], index) => {
    const [nextX, nextY] = points[(index + 1) % points.length];
    twice += x * nextY - nextX * y;
  });
  return Math.abs(twice) / 2;
}

export function contains(points, [x, y]) {
  let inside = false;
  for (let i = 0, j = points.length - 1; i < points.length; j = i, i += 1) {
    const [[xi, yi], [xj, yj]] = [points[i], points[j]];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
  }
  return inside;
}

export function centre(points) {
  const sum = points.reduce(([sx, sy], [x, y]) => [sx + x, sy + y], [0, 0]);
  return [sum[0] / points.length, sum[1] / points.length];
}

/** Moved as a whole, as far as the picture allows. */
export function moved(points, [dx, dy]) {
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => y);
  const sideways = Math.min(1 - Math.max(...xs), Math.max(-Math.min(...xs), dx));
  const down = Math.min(1 - Math.max(...ys), Math.max(-Math.min(...ys), dy));
  return points.map(([x, y]) => within([x + sideways, y + down]));
}
