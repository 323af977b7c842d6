"""What a hospital would use instead, each as quick as its own manual lets it be."""
