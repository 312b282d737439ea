/* A program of which each part's size is known to nobody but the compiler. */
#include <stdio.h>

const char table_of_words[3][16] = {"oak", "beech", "rowan"};
int counters[1000] = {1};
static int zeroed[4096];

__attribute__((noinline)) int mpn_double(int n) { return 2 * n; }

static __attribute__((noinline)) int hidden(int n) {
  for (int i = 0; i < n; i++) zeroed[i & 4095] += counters[i % 1000];
  return zeroed[n & 4095];
}

__attribute__((noinline)) int digestif_sum(const char *text) {
  int sum = 0;
  while (*text != 0) sum = sum * 31 + *text++;
  return sum;
}

int main(int argc, char **argv) {
  printf("%d %d %s\n", hidden(mpn_double(argc)), digestif_sum(argv[0]), table_of_words[argc % 3]);
  return 0;
}
