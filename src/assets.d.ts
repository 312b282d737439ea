/** Files that the executable carries: imported `with { type: "file" }`, they are the path of their copy in it. */
declare module "*.hvt" {
  const path: string;
  export default path;
}
declare module "*.spt" {
  const path: string;
  export default path;
}
declare module "*.virtio" {
  const path: string;
  export default path;
}
