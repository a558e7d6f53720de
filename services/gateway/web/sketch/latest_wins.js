// At most one request under way, and after it only the newest that waits.

const INTERVAL_MS = 120; // between drafts: quick for an eye, light for a server

export class LatestWins {
  #send;
  #waiting = null;
  #controller = null;
  #sentAt = -INTERVAL_MS;
  #timer = 0;

  /** `send(job, signal)` does one job, and deals with its answer and its errors. */
  constructor(send) {
    this.#send = send;
  }

  /** Sends a job soon; a later one takes its place if it still waits. */
  draft(job) {
    this.#waiting = job;
    this.#schedule();
  }

  /** Sends a job at once, in place of all others. */
  final(job) {
    this.cancel();
    this.#start(job);
  }

  cancel() {
    clearTimeout(this.#timer);
    this.#waiting = null;
    this.#controller?.abort();
    this.#controller = null;
  }

  #schedule() {
    clearTimeout(this.#timer);
    if (this.#controller || this.#waiting === null) return;
    const wait = Math.max(0, this.#sentAt + INTERVAL_MS - performance.now());
    this.#timer = setTimeout(() => this.#start(this.#waiting), wait);
  }

  async #start(job) {
    const controller = (this.#controller = new AbortController());
    this.#waiting = null;
    this.#sentAt = performance.now();
    await this.#send(job, controller.signal);
    if (this.#controller !== controller) return; // another took over meanwhile
    this.#controller = null;
    this.#schedule();
  }
}
