import { describe, expect, it } from "vitest";
import type { StoredImage } from "../../src/api/images";
import { classOf, joined, keyOf, partsOf, withClass } from "../../src/images/keys";
import { Labels } from "../../src/images/labels";
import { calledProbability, calledText, labelLines, setMeaning, spoken, waitText } from "../../src/images/words";
import { answerOf, imageOf, MODEL } from "./support";

const CLASSES = ["basophil", "eosinophil", "neutrophil"];

describe("keys", () => {
  it("are 1 to 9, 0, then letters, in the order of the model", () => {
    const many = Array.from({ length: 40 }, (_, index) => `class ${index}`);
    expect([0, 8, 9, 10, 35, 36].map(keyOf)).toEqual(["1", "9", "0", "a", "z", null]);
    for (const [place, name] of many.slice(0, 36).entries()) expect(classOf(keyOf(place) ?? "", many)).toBe(name);
    expect(classOf("A", many)).toBe("class 10");
    expect(["4", "Enter", "F1", "", "?"].map((key) => classOf(key, CLASSES))).toEqual([null, null, null, null, null]);
  });

  it("replace the label, or of a multilabel model change one of its classes", () => {
    expect(withClass("multiclass", CLASSES, "basophil", "neutrophil")).toBe("neutrophil");
    const both = withClass("multilabel", CLASSES, "neutrophil", "basophil");
    expect(both).toBe("basophil;neutrophil");
    expect(withClass("multilabel", CLASSES, both, "neutrophil")).toBe("basophil");
    expect(withClass("multilabel", CLASSES, "basophil", "basophil")).toBeNull();
    expect(withClass("multilabel", CLASSES, "unknown; neutrophil", "basophil")).toBe("basophil;neutrophil;unknown");
    expect(partsOf("multiclass", "a;b")).toEqual(["a;b"]);
    expect([joined([]), joined(["a"]), joined(["a", "b"])]).toEqual([null, "a", "a;b"]);
  });
});

/** A server whose answers come when the test says so. */
class SlowServer {
  readonly written: (string | null)[] = [];
  readonly kept: (string | null)[] = [];
  failures = 0;
  #answers: { resolve: () => void; reject: (error: Error) => void }[] = [];
  readonly labels = new Labels({
    write: (_, label) => {
      this.written.push(label);
      return new Promise((resolve, reject) => {
        this.#answers.push({ resolve, reject });
      });
    },
    onKept: (_, label) => {
      this.kept.push(label);
      this.image = { ...this.image, label };
    },
    onChange: () => undefined,
    onFailed: () => {
      this.failures += 1;
    },
  });
  image: StoredImage = imageOf("a.png", { label: "basophil" });

  async answer(well = true): Promise<void> {
    const first = this.#answers.shift();
    if (well) first?.resolve();
    else first?.reject(new Error("no"));
    await new Promise((resolve) => setTimeout(resolve));
  }
}

describe("labels", () => {
  it("are shown at once, and the last one given is the one that stays", async () => {
    const server = new SlowServer();
    void server.labels.set(server.image, "neutrophil");
    expect(server.labels.of(server.image)).toBe("neutrophil");
    void server.labels.set(server.image, "eosinophil");
    void server.labels.set(server.image, null);
    expect(server.labels.on(server.image).label).toBeNull();
    expect(server.written).toEqual(["neutrophil"]);
    await server.answer();
    expect(server.written).toEqual(["neutrophil", null]);
    expect(server.labels.of(server.image)).toBeNull();
    await server.answer();
    expect(server.labels.open).toBe(false);
    expect(server.labels.of(server.image)).toBeNull();
    expect(server.kept).toEqual(["neutrophil", null]);
  });

  it("are undone where the server refuses", async () => {
    const server = new SlowServer();
    void server.labels.set(server.image, "neutrophil");
    await server.answer(false);
    expect(server.labels.of(server.image)).toBe("basophil");
    expect(server.failures).toBe(1);
    void server.labels.set(server.image, "neutrophil");
    await server.answer();
    expect(server.image.label).toBe("neutrophil");
  });

  it("that are there already are not sent", () => {
    const server = new SlowServer();
    void server.labels.set(server.image, "basophil");
    expect(server.written).toEqual([]);
  });
});

describe("words", () => {
  it("say what the prediction set means", () => {
    expect(setMeaning(answerOf(), MODEL)).toMatch(/^Only eosinophil is likely enough\. .* 90 % have/);
    expect(setMeaning(answerOf({ set: ["a", "b"] }), MODEL)).toMatch(/^Any of these 2 classes may be right: a, b\. Look again\./);
    expect(setMeaning(answerOf({ set: [], coverage: 0.975 }), MODEL)).toMatch(/^No class is likely enough.* 97\.5 %/);
    expect(setMeaning(answerOf({ set: null }), MODEL)).toMatch(/keeps nothing/);
    expect(setMeaning(answerOf({ set: null }), { ...MODEL, task: "multilabel" })).toMatch(/exclude one another/);
  });

  it("say what an image is called, also of several classes and of none", () => {
    const both = answerOf({ called: ["basophil", "eosinophil"] });
    expect([calledText(both), calledProbability(both)]).toEqual(["basophil, eosinophil", 0.1]);
    const none = answerOf({ called: [] });
    expect([calledText(none), calledProbability(none)]).toEqual(["none of the classes", 0.7]);
  });

  it("tell all that is to be known", () => {
    const doubtful = imageOf("x/a.png", { answer: answerOf({ review: true, reason: "may be a or b" }) });
    expect(spoken({ ...doubtful, label: "neutrophil" })).toBe("a.png, eosinophil 0.700, look again: may be a or b, your label: neutrophil");
    const problem = { type: "", title: "", status: 422, detail: "a.png: is damaged" };
    const failed = imageOf("a.png", { state: "failed", answer: null, problem });
    expect(waitText(failed)).toBe("Is damaged");
    expect(spoken(failed)).toBe("a.png, failed: Is damaged");
    const by = (name: string, label: string) => ({ author: { key_id: name, name }, label, changed_at: "" });
    expect(labelLines([by("Ann", "x"), by("Ben", "y"), by("Cem", "x")])).toEqual(["x: Ann, Cem", "y: Ben"]);
  });
});
