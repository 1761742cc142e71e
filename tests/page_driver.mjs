// Runs the page's script against a server, with as little of a document as it needs; prints what a reader would see.
import {readFileSync} from "node:fs";
import vm from "node:vm";

const [pagePath, base, text] = process.argv.slice(2);
const page = readFileSync(pagePath, "utf-8");

class Element {
  constructor(tag) {
    Object.assign(this, {tag, children: [], handlers: {}, attributes: {}, value: "", hidden: false, disabled: false});
    this.own = "";
  }
  get textContent() { return this.own + this.children.map(c => typeof c === "string" ? c : c.textContent).join(""); }
  set textContent(value) { this.own = value; this.children = []; if (this === at("status")) seen.push(value); }
  append(...parts) { this.children.push(...parts); }
  replaceChildren() { this.children = []; this.own = ""; }
  addEventListener(name, handler) { this.handlers[name] = handler; }
  setAttribute(name, value) { this.attributes[name] = value; }
  focus() { this.focused = true; }
}

const seen = [];
const elements = {};
const at = id => elements[id];
for (const [, tag, id] of page.matchAll(/<(\w+)[^>]*? id="(\w[\w-]*)"/g)) elements[id] = new Element(tag);
elements.text.value = text;

vm.runInNewContext(/<script>([\s\S]*)<\/script>/.exec(page)[1], {
  document: {getElementById: at, createElement: tag => new Element(tag)},
  fetch: (path, options) => fetch(`${base}/${path}`, options),
  TextDecoderStream, TypeError, Error, JSON, Number, Math, Array, String, console,
});
await elements.form.handlers.submit({preventDefault() {}});
const rows = elements.rows.children.map(row => row.children.map(cell => cell.textContent));
const marks = elements.report.children.filter(c => typeof c !== "string").map(mark => mark.own || mark.children[0]);
console.log(JSON.stringify({
  seen, rows, marks, error: elements.error.textContent, hidden: elements.result.hidden,
  busy: elements.result.attributes["aria-busy"], footer: elements.footer.textContent, disabled: elements.go.disabled,
}));
