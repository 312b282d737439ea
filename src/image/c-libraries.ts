/**
 * Which library a piece of C belongs to: by where its source lies, which opam's and dune's build folders tell, else
 * by how its name begins.
 */

interface Library {
  readonly name: string;
  /** How its symbols begin. */
  readonly symbols?: RegExp;
  /** A part of its sources' paths. */
  readonly paths?: RegExp;
}

/** The first that fits. Those with the longer prefixes come first. */
const LIBRARIES: readonly Library[] = [
  { name: "digestif", symbols: /^(caml_)?digestif_/ },
  { name: "checkseum", symbols: /^(caml_)?checkseum_/ },
  { name: "cstruct", symbols: /^caml_(cstruct_|blit_\w*bigstring|check_alignment_bigstring|fill_bigstring)/ },
  { name: "bigstringaf", symbols: /^bigstringaf_/ },
  { name: "decompress", symbols: /^(caml_)?decompress_/ },
  { name: "zarith", symbols: /^ml_z_/, paths: /\/zarith[-.\w]*\/[^/]+$/i },
  { name: "gmp", symbols: /^(__gmp|gmp_|mpn_|mpz_|mpq_|mpf_)/, paths: /\/gmp[-.\w]*\// },
  {
    name: "mirage-crypto-ec",
    symbols:
      /^(mc_n?p(224|256|384|521)_|mc_x?25519_|fiat_n?p\d{3}_|fiat_25519_|x25519_|k25519|fe_|ge_|point_double)/,
    paths: /\/mirage-crypto[-.\w]*\/ec\//,
  },
  {
    name: "mirage-crypto",
    symbols: /^_?mc_/,
    paths: /\/mirage-crypto[-.\w]*\//,
  },
  {
    name: "openlibm",
    symbols: /^(__ieee754_|__kernel_|__exp__|__log__|__ldexp_|__frexp_|__scan_nan|__isnormal|__fpclassify)/,
    paths: /\/openlibm[-.\w]*\//,
  },
  { name: "nolibc", symbols: /^(dlmalloc|dlfree|dlrealloc|dlmemalign|dlcalloc)/, paths: /\/nolibc[-.\w]*\// },
  {
    name: "solo5",
    symbols:
      /^(solo5_|_newstart$|hvt_|spt_|virtio_|cpu_|intr_|tscclock|platform_|crt_init|block_init|net_init)/,
    paths: /\/solo5[-.\w]*\/(bindings|tenders|toolchain)\//,
  },
  { name: "mirage-solo5", symbols: /^mirage_solo5_/, paths: /\/mirage-solo5[-.\w]*\// },
  {
    name: "OCaml runtime",
    symbols: /^(caml_|__caml|camlrun|re_match|re_search|unix_|bigarray_)/,
    paths: /(^|\/)(runtime|asmrun|byterun|otherlibs\/\w+)\/[^/]+\.[chS]$/,
  },
  {
    name: "C library",
    symbols:
      /^(_IO_|_nl_|__libc_|__GI_|_dl_|__dl|__gconv|__mp[nz]_|__str|__mem|__malloc|__pthread|pthread_|(mem|str|wcs|wmem)[a-z]+(_|$)|(mc|m|c|re)alloc|free$|(v|vs|s|f|vf|vsn|sn)?(printf|scanf)|qsort|abort$|exit$)/,
    paths: /(^|\/)(glibc|musl)[-.\w]*\//,
  },
  {
    name: "openlibm",
    symbols:
      /^_*(a?(sin|cos|tan)h?|atan2|exp(2|m1)?|log(2|10|1p|b)?|pow|sqrt|cbrt|hypot|ceil|floor|round|trunc|rint|nearbyint|fmod|fma|fmin|fmax|fdim|erfc?|[lt]gamma|ldexp|frexp|modf|scalbl?n|ilogb|remainder|remquo|copysign|nextafter|l?lround|l?lrint)[fl]?(_r)?$/,
  },
  {
    name: "compiler support",
    symbols:
      /^(__(u?div|u?mod|mul|ashl|ashr|lshr|popcount|clz|ctz|float|fix|ext|trunc)\w*[sdtx][ifc]\d?$|_Unwind_)/,
    paths: /\/libgcc\//,
  },
];

/** Folders in which dune and opam build packages carry the package's name. */
const PACKAGE_FOLDERS = [
  /\/\.opam-switch\/(?:build|sources)\/([A-Za-z][\w+-]*)[./]/,
  /(?:^|\/)duniverse\/([A-Za-z][\w.+-]*)\//,
  /(?:^|\/)_opam\/lib\/([A-Za-z][\w+-]*)\//,
];
/** These packages hold several libraries, which the rules above tell apart. */
const BUNDLES = new Set(["ocaml-solo5", "ocaml-freestanding", "ocaml-base-compiler", "ocaml"]);

/** The library of a C symbol. `file` is the path of its source, where that is known. */
export function cLibrary(symbol: string, file: string | undefined): string {
  const byFile = file === undefined ? undefined : libraryOfFile(file);
  if (byFile !== undefined) return byFile;
  const rule = LIBRARIES.find(({ symbols }) => symbols?.test(symbol) === true);
  return rule?.name ?? folderOf(file) ?? OTHER_C;
}

/** What nothing is known of. */
export const OTHER_C = "other C";

function libraryOfFile(file: string): string | undefined {
  const rule = LIBRARIES.find(({ paths }) => paths?.test(file) === true);
  if (rule !== undefined) return rule.name;
  for (const pattern of PACKAGE_FOLDERS) {
    const name = pattern.exec(file)?.[1];
    if (name !== undefined && !BUNDLES.has(name)) return name;
  }
  return undefined;
}

const COMMON_FOLDERS = new Set([
  "",
  ".",
  "..",
  "src",
  "lib",
  "c_src",
  "csrc",
  "native",
  "include",
  "build",
  "stubs",
]);

/** The nearest folder above a source that says something. */
function folderOf(file: string | undefined): string | undefined {
  return file
    ?.split("/")
    .slice(0, -1)
    .findLast((folder) => !COMMON_FOLDERS.has(folder));
}
