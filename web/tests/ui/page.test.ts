import { describe, expect, it } from "vitest";
import { ApiProblem, problemOf, problemText, Unauthorised } from "../../src/api/problem";
import { h, setText } from "../../src/ui/dom";
import { readChoice, writeChoice } from "../../src/worklist/address";
import { FIRST_CHOICE } from "../../src/worklist/lines";

describe("elements", () => {
  it("take names with markup as text", () => {
    const name = '<img src=x onerror="alert(1)"> & <b>bold</b>';
    const element = h("a", { title: name }, name);
    expect(element.children).toHaveLength(0);
    expect(element.textContent).toBe(name);
    expect(element.title).toBe(name);
    setText(element, "<i>");
    expect(element.innerHTML).toBe("&lt;i&gt;");
  });

  it("leave out what is not there", () => {
    const element = h("p", { hidden: false, id: null, "data-a": true, "data-n": 0 }, null, false, 0, "");
    expect([...element.attributes].map(({ name, value }) => [name, value])).toEqual([
      ["data-a", ""], ["data-n", "0"],
    ]);
    expect(element.textContent).toBe("0");
  });
});

describe("the address of the list", () => {
  it("holds search, filter and sorting, and nothing that goes without saying", () => {
    expect(writeChoice(FIRST_CHOICE)).toBe("");
    const choice = { search: "a & b=c", filter: "alarms", sort: "name", reversed: true } as const;
    expect(readChoice(writeChoice(choice))).toEqual(choice);
  });

  it("passes over what makes no sense", () => {
    expect(readChoice("?show=nothing&sort=&x=1")).toEqual(FIRST_CHOICE);
  });
});

describe("problems", () => {
  const answer = (status: number, body: string) => new Response(body, { status });

  it("are told in the server's words", async () => {
    const body = JSON.stringify({ type: "/problems/conflict", title: "No", detail: "slide is busy" });
    const problem = await problemOf(answer(409, body));
    expect([problem.status, problem.kind]).toEqual([409, "conflict"]);
    expect(problemText(problem)).toBe("Slide is busy.");
  });

  it("come from proxies, too", async () => {
    const problem = await problemOf(answer(502, "<html>"));
    expect(problemText(problem)).toBe("The server answered 502.");
    expect(problem).toBeInstanceOf(ApiProblem);
    expect(await problemOf(answer(401, "{}"))).toBeInstanceOf(Unauthorised);
  });
});
