// Questions to Python and their answers, over the widget's custom messages. Each question gets one answer or a refusal
// in words; a kernel that is busy or gone is told apart by time, never waited for in silence.

/** @typedef {{get: (key: string) => any, set: (key: string, value: any) => void, save_changes: () => void, send: (content: any) => void, on: (event: string, callback: Function) => void, off: (event: string, callback: Function) => void}} Model */

export class Asker {
  /** @param {Model} model @param {(waiting: boolean) => void} onWaiting told when an answer is late */
  constructor(model, onWaiting) {
    this.model = model;
    this.onWaiting = onWaiting;
    this.prefix = Math.random().toString(36).slice(2);
    this.next = 0;
    this.late = false;
    /** @type {Map<string, {resolve: Function, reject: Function, timer: any}>} */
    this.open = new Map();
    this.receive = this.receive.bind(this);
    model.on("msg:custom", this.receive);
  }

  /**
   * @param {string} ask what @param {Record<string, any>} [more]
   * @returns {Promise<{content: any, buffers: DataView[]}>}
   */
  ask(ask, more = {}) {
    const id = `${this.prefix}-${this.next++}`;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.late = true;
        this.onWaiting(true);
      }, 2500);
      this.open.set(id, { resolve, reject, timer });
      try {
        this.model.send({ id, ask, ...more });
      } catch (error) {
        this.finish(id);
        reject(new Error("there is no kernel to ask"));
      }
    });
  }

  /** @param {string} id */
  finish(id) {
    const question = this.open.get(id);
    if (question) clearTimeout(question.timer);
    this.open.delete(id);
    if (this.late && this.open.size === 0) {
      this.late = false;
      this.onWaiting(false);
    }
    return question;
  }

  /** @param {any} content @param {any[]} buffers */
  receive(content, buffers) {
    if (!content || !this.open.has(content.id)) return;
    const question = this.finish(content.id);
    if (content.error) question?.reject(new Error(content.error));
    else question?.resolve({ content, buffers: (buffers ?? []).map(asView) });
  }

  close() {
    this.model.off("msg:custom", this.receive);
    for (const id of [...this.open.keys()]) this.finish(id);
  }
}

/** @param {any} buffer @returns {DataView} whatever the front end gave for bytes, as a DataView */
export function asView(buffer) {
  if (buffer instanceof DataView) return buffer;
  if (buffer instanceof ArrayBuffer) return new DataView(buffer);
  return new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
