// The evidence player: heat map and boxes over the clip, in step with its time.

const STEP_S = 0.125;

export class Player {
  /** `details` is evidence.json. `onTime(t_s)` is called whenever another moment is shown. */
  constructor({ video, canvas, details, onTime }) {
    this.video = video;
    this.canvas = canvas;
    this.frames = details.frames;
    this.grid = details.heat_grid;
    this.onTime = onTime;
    this.heat = true;
    this.boxes = true;
    this.touched = false;
    this.layer = new HeatLayer(details.heat_grid, details.heat_extent ?? [1, 1]);
    new ResizeObserver(() => this.draw()).observe(video);
    for (const name of ["loadeddata", "seeked", "timeupdate", "pause"]) video.addEventListener(name, () => this.draw());
    this.follow();
  }

  /** Redraw with each frame that the browser shows. */
  follow() {
    if (this.video.requestVideoFrameCallback) {
      const shown = (_, { mediaTime }) => {
        this.draw(mediaTime);
        this.video.requestVideoFrameCallback(shown);
      };
      this.video.requestVideoFrameCallback(shown);
    }
  }

  get duration() {
    return this.video.duration || 0;
  }

  /** Plays from the start when it stands at the end, or where the page has put it. */
  toggle() {
    if (!this.video.paused) return this.video.pause();
    if (!this.touched || this.video.ended) this.video.currentTime = 0;
    this.touched = true;
    return this.video.play();
  }

  seek(t) {
    this.touched = true;
    this.video.currentTime = Math.min(Math.max(0, t), Math.max(0, this.duration - 0.01));
  }

  step(by) {
    this.video.pause();
    this.seek(this.video.currentTime + by * STEP_S);
  }

  /** Without counting as a touch: where the page begins. */
  begin(t) {
    this.video.currentTime = Math.max(0, t);
  }

  /** What was judged last at time `t` of the clip; null before the first. */
  frameAt(t) {
    let low = 0;
    let high = this.frames.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.frames[middle].t_s <= t + 0.02) low = middle + 1;
      else high = middle;
    }
    return low ? this.frames[low - 1] : null;
  }

  draw(t = this.video.currentTime) {
    this.onTime(t);
    const { video, canvas } = this;
    if (!video.videoWidth) return;
    const fit = Math.min(video.clientWidth / video.videoWidth, video.clientHeight / video.videoHeight);
    const width = video.videoWidth * fit;
    const height = video.videoHeight * fit;
    const scale = devicePixelRatio || 1;
    Object.assign(canvas.style, {
      width: `${width}px`, height: `${height}px`,
      left: `${video.offsetLeft + (video.clientWidth - width) / 2}px`, top: `${video.offsetTop + (video.clientHeight - height) / 2}px`,
    });
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    const g = canvas.getContext("2d");
    g.setTransform(scale, 0, 0, scale, 0, 0);
    const frame = this.frameAt(t);
    canvas.dataset.frame = frame ? frame.t_s : "";
    if (!frame) return;
    if (this.heat && frame.heat) this.layer.paint(g, frame.heat, width, height);
    if (this.boxes) for (const box of frame.boxes) outline(g, box, width, height);
  }
}

/** A grid of 0..255 as a soft layer: nothing where it is cold, yellow, then red. */
class HeatLayer {
  /** `extent`: how far the grid reaches in pictures, across and down; it pads to whole cells. */
  constructor([rows, columns], extent) {
    this.extent = extent;
    this.small = new OffscreenCanvas(columns, rows);
    this.g = this.small.getContext("2d");
    this.picture = this.g.createImageData(columns, rows);
  }

  paint(g, base64, width, height) {
    const bytes = atob(base64);
    const { data } = this.picture;
    for (let cell = 0; cell < bytes.length && cell * 4 < data.length; cell += 1) {
      const share = bytes.charCodeAt(cell) / 255;
      data[cell * 4] = 255;
      data[cell * 4 + 1] = Math.round(215 * (1 - share * 0.9));
      data[cell * 4 + 2] = 0;
      data[cell * 4 + 3] = Math.round(150 * Math.min(1, Math.max(0, share - 0.12) * 1.3));
    }
    this.g.putImageData(this.picture, 0, 0);
    g.imageSmoothingEnabled = true;
    g.imageSmoothingQuality = "high";
    g.drawImage(this.small, 0, 0, width * this.extent[0], height * this.extent[1]);
  }
}

function outline(g, [x0, y0, x1, y1, height], width, tall) {
  const [x, y, w, h] = [x0 * width, y0 * tall, (x1 - x0) * width, (y1 - y0) * tall];
  for (const [colour, line] of [["rgb(0 0 0 / 70%)", 4], ["#ffffff", 2]]) {
    g.strokeStyle = colour;
    g.lineWidth = line;
    g.strokeRect(x, y, w, h);
  }
  g.font = '600 12px system-ui, "DejaVu Sans", sans-serif';
  const text = height.toFixed(1);
  const wide = g.measureText(text).width + 8;
  const above = y >= 18 ? y - 18 : y + h;
  g.fillStyle = "rgb(0 0 0 / 75%)";
  g.fillRect(x - 1, above, wide, 17);
  g.fillStyle = "#ffffff";
  g.textBaseline = "middle";
  g.fillText(text, x + 3, above + 9);
}
