/** Native bindings are imported `with { type: "file" }`, as the path by which the compiled executable has them. */
declare module "*.node" {
  const path: string;
  export default path;
}
