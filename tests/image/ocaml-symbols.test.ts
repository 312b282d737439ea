// Names of OCaml's symbols, with all separators that its compilers had.
import { describe, expect, test } from "bun:test";
import { demangleOcaml, modulesOf, unitMark } from "../../src/image/ocaml-symbols.ts";
import { cLibrary } from "../../src/image/c-libraries.ts";

describe("a symbol of OCaml's compiler", () => {
  test.each([
    ["camlStdlib__List__map_233", "Stdlib__List", "map"],
    ["camlStdlib__List.map_233", "Stdlib__List", "map"],
    ["camlStdlib__List$map_233", "Stdlib__List", "map"],
    ["camlStdlib__$3d$7e_84", "Stdlib", "=~"],
    ["camlStdlib.$3d_84", "Stdlib", "="],
    ["camlStdlib$$$3d_84", "Stdlib", "="],
    ["camlLib___hidden_12", "Lib", "_hidden"],
    ["camlLib__1", "Lib", "1"],
    ["camlLib__entry", "Lib", "entry"],
    ["camlLib__go_12_13_code", "Lib", "go_code"],
    ["camlLib.code_begin", "Lib", "code_begin"],
    ["camlLib", "Lib", ""],
    ["camlDune__exe__Main__start_5", "Dune__exe__Main", "start"],
  ])("%s is of %s and called %s", (symbol, unit, name) => {
    expect(demangleOcaml(symbol)).toEqual({ unit, name });
  });

  test("is split where a known unit ends, also if a name looks like a module", () => {
    const units = new Set(["Stdlib", "Stdlib__List", "Digestif"]);
    expect(demangleOcaml("camlStdlib__List", units)).toEqual({ unit: "Stdlib__List", name: "" });
    expect(demangleOcaml("camlDigestif__Make__get_12", units)).toEqual({
      unit: "Digestif",
      name: "Make__get",
    });
    expect(demangleOcaml("camlStdlib__List__a__b_3", units)).toEqual({ unit: "Stdlib__List", name: "a__b" });
  });

  test.each(["caml_alloc", "caml", "main", "camlrun", "", "caml__x", "caml_startup__code_begin"])(
    "%s is none",
    (symbol) => {
      expect(demangleOcaml(symbol)).toBeUndefined();
    },
  );

  test("says where a unit's parts begin and end", () => {
    expect(unitMark("camlStdlib__List__code_begin")).toEqual({
      unit: "Stdlib__List",
      part: "code",
      edge: "begin",
    });
    expect(unitMark("camlLib.data_end")).toEqual({ unit: "Lib", part: "data", edge: "end" });
    expect(unitMark("camlLib$code_end")).toEqual({ unit: "Lib", part: "code", edge: "end" });
    expect(unitMark("caml_startup__code_begin")).toEqual({ unit: "startup", part: "code", edge: "begin" });
    expect(unitMark("caml_code_fragment")).toBeUndefined();
    expect(unitMark("code_begin")).toBeUndefined();
  });

  test("stands for a path of modules", () => {
    expect(modulesOf("Stdlib__List")).toEqual(["Stdlib", "List"]);
    expect(modulesOf("Dune__exe__Main")).toEqual(["Dune.exe", "Main"]);
    expect(modulesOf("Mirage_crypto__Hash")).toEqual(["Mirage_crypto", "Hash"]);
    expect(modulesOf("__")).toEqual(["__"]);
  });
});

describe("a piece of C belongs", () => {
  test.each([
    ["caml_major_collection_slice", "OCaml runtime"],
    ["__gmpn_add_n", "gmp"],
    ["ml_z_add", "zarith"],
    ["mc_p256_point_add", "mirage-crypto-ec"],
    ["fiat_p384_mul", "mirage-crypto-ec"],
    ["mc_aes_enc", "mirage-crypto"],
    ["_mc_sha256_update", "mirage-crypto"],
    ["caml_digestif_sha256_st_update", "digestif"],
    ["__ieee754_pow", "openlibm"],
    ["sinf", "openlibm"],
    ["solo5_console_write", "solo5"],
    ["something_else", "other C"],
  ])("%s to %s by its name", (symbol, library) => {
    expect(cLibrary(symbol, undefined)).toBe(library);
  });

  test.each([
    ["/home/x/.opam/4.14/.opam-switch/build/ocaml-solo5.0.8.2/nolibc/stdio.c", "nolibc"],
    ["/home/x/.opam/4.14/.opam-switch/build/ocaml-solo5.0.8.2/openlibm/src/e_exp.c", "openlibm"],
    ["/b/ocaml/runtime/major_gc.c", "OCaml runtime"],
    ["/home/x/.opam-switch/build/argon2.1.0.2/src/core.c", "argon2"],
    ["duniverse/argon2/src/core.c", "argon2"],
    ["/work/gadget/src/core.c", "gadget"],
  ])("to the library of %s by its source", (file, library) => {
    expect(cLibrary("something_else", file)).toBe(library);
  });
});
