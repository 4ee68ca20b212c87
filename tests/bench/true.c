/* The least that a program can be: static, and nothing to do. */
int main(void)
{
    return 0;
}
