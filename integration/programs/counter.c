/* A process that counts SIGHUP: one byte in a file for each delivery.
 * counter LOG [VICTIM]   the first handler call that finds a process id in the file VICTIM kills
 * that process with SIGKILL. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static int log_fd;
static const char *victim;

static void on_hup(int signal) {
    (void)signal;
    if (write(log_fd, "h", 1) != 1) _exit(1);
    int fd = victim ? open(victim, O_RDONLY) : -1;
    if (fd < 0) return;
    char text[16] = {0};
    if (read(fd, text, sizeof text - 1) > 0) {
        kill(atoi(text), SIGKILL);
        victim = 0;
    }
    close(fd);
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    log_fd = open(argv[1], O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (log_fd < 0) return 1;
    if (argc > 2) victim = argv[2];
    struct sigaction action = {.sa_handler = on_hup};
    sigaction(SIGHUP, &action, 0);
    for (;;) pause();
}
