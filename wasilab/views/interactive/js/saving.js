// The export menu: files that Python writes, and an image of the timeline.

import { context } from "./draw.js";
import { el } from "./data/words.js";

/** @param {Blob} blob @param {string} name offer it as a download */
export function save(blob, name) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** @param {import("./timeline.js").TimelineView} view @param {string} suffix of the file, such as ".parquet" */
export async function exportAs(view, suffix) {
  if (suffix === ".png") return save(await picture(view), `${view.store.meta.file}.png`);
  try {
    const { content, buffers } = await view.asker.ask("export", { suffix });
    save(new Blob([/** @type {any} */ (buffers[0])]), content.name);
    const tool = view.store.meta.tools?.find(([known, , address]) => known === suffix && address);
    view.say(`Exported ${content.name}${tool ? `. For ${tool[1]}: open ${pageOf(tool[2])}, ${tool[3]}` : ""}.`);
  } catch (error) {
    view.say(/** @type {Error} */ (error).message, true);
  }
}

/** @param {string} address of a tool's page @returns {string} as the user would type it */
export function pageOf(address) {
  return address.startsWith("chrome") ? address : address.split("//")[1] ?? address;
}

/** An image of the visible timeline with its title, without the pointer. @param {import("./timeline.js").TimelineView} view @returns {Promise<Blob>} */
export function picture({ canvas, painter, navigator, store }) {
  const head = 26, scale = canvas.width / painter.width;
  painter.paint({ ...navigator.view, hover: -1, cursor: NaN });
  const page = document.createElement("canvas"), g = context(page);
  page.width = canvas.width;
  page.height = canvas.height + Math.round(head * scale);
  g.fillStyle = painter.theme.bg;
  g.fillRect(0, 0, page.width, page.height);
  g.fillStyle = painter.theme.fg;
  g.font = `${Math.round(13 * scale)}px system-ui, sans-serif`;
  g.fillText(store.meta.title, 6 * scale, 17 * scale, page.width - 12 * scale);
  g.drawImage(canvas, 0, Math.round(head * scale));
  painter.paint(navigator.view);
  return new Promise((done, failed) => page.toBlob((/** @type {Blob | null} */ blob) => (blob ? done(blob) : failed(new Error("the picture could not be made")))));
}
